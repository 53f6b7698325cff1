"""The routes besides the stream, and the description of all of them."""
