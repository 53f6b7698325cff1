"""The text of an error and its traceback, to check that no password is in it."""

import traceback

SECRET = "hunter2"


def full_text(error: BaseException) -> str:
    """Everything that a log may contain of an error."""
    return "".join((str(error), repr(error), *traceback.format_exception(error)))
