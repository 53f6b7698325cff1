"""HTTP: the routes, the stream's response, the server and its limits."""
