"""HTTP: the server, the routes, the stream, the page."""
