"""The one error that is the operator's to mend."""


class OutgoingError(OSError):
    """A variable of the environment names what can't be used. The message names the remedy, too."""
