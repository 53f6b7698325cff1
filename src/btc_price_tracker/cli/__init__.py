"""The commands, one module each, named in `main`."""
