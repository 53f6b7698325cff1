"""What every response passes: request ids, CORS, compression."""
