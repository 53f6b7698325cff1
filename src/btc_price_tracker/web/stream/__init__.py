"""The response of /prices/stream, from a position to a live stream."""
