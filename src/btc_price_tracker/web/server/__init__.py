"""uvicorn with our connections: deadlines, size limits, and responses that detach their socket."""
