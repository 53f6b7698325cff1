"""A Bitcoin price you can trust, streamed from your own machine to everyone."""

__version__ = "0.1.0"
