"""uvicorn with connections of ours: deadlines, sizes, and responses that take their socket along."""
