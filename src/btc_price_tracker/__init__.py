"""A Bitcoin price you can trust, streamed from your own machine to everyone."""

__all__ = ["__version__"]

__version__ = "0.1.0"
