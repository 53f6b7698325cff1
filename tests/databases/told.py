"""What an error tells whoever reads it: for tests that no password is in it."""

import traceback

SECRET = "hunter2"


def told(error: BaseException) -> str:
    """Everything that a log might print of an error."""
    return "".join((str(error), repr(error), *traceback.format_exception(error)))
