"""The integers that a database can hold."""

MAX_INTEGER = 2**63 - 1


def clamped(number: int) -> int:
    """The nearest 64-bit integer: none that far out is a time, so a comparison comes to the same."""
    return max(-MAX_INTEGER, min(number, MAX_INTEGER))
