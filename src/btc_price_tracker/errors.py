"""Errors of the system in plain words."""


def system_words(error: OSError) -> str:
    """What the system says of a fault: without its number, and without the file, which the caller names."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:] if error.errno is not None else said
