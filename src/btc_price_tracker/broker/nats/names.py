"""The stream, its subjects, and the headers of its messages."""

from dataclasses import dataclass

TICK = "Btc-Tick"  # the id of the tick in a message
OWNER = "Btc-Owner"  # the token of the term that sent it
TERM = "Btc-Term"  # the number of that term, on messages about the lease
FREE = "Btc-Free"  # on the message that gives the lease up

# Those that the server adds or reads.
SEQUENCE = "Nats-Sequence"
SUBJECT = "Nats-Subject"
PREVIOUS = "Nats-Last-Sequence"  # on a republished message: the sequence of the one before on its subject
EXPECTED = "Nats-Expected-Last-Sequence"
ROLLUP = {"Nats-Rollup": "sub"}  # on a message that replaces all others on its subject


@dataclass(frozen=True, slots=True)
class Names:
    """All begin with the name of the stream."""

    stream: str

    @property
    def ticks(self) -> str:
        """Updates with a tick: the history."""
        return f"{self.stream}.ticks"

    @property
    def status(self) -> str:
        """The newest update without a tick."""
        return f"{self.stream}.status"

    @property
    def lease(self) -> str:
        """Who leads: a message at each renewal, which replaces the one before."""
        return f"{self.stream}.lease"

    @property
    def live(self) -> str:
        """Where the server repeats what it has stored: the live path."""
        return f"{self.stream}.live"

    def probes(self, token: str) -> str:
        """The probes of one instance."""
        return f"{self.stream}.probes.{token}"
