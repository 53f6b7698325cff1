"""Whether this instance should get traffic: one check for each thing that must work."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Status
from btc_price_tracker.settings.open_files import file_limit, open_files
from btc_price_tracker.store.last_success import LastSuccess
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.stream.canary import Canary

ROUNDS = 3  # without an answer from any source: then this instance isn't ready
CANARY_MARGIN = 5.0  # seconds by which an event may be later than the heartbeat
MIN_DESCRIPTORS = 32  # left; a sixteenth of the limit where that is less


class CheckStatus(StrEnum):
    """The result of a check."""

    OK = "ok"
    FAILING = "failing"


class Check(Struct):
    """The result of a check, and how many seconds ago it was last seen to work; null if it never was."""

    status: CheckStatus
    age: float | None
    reason: str | None


class DescriptorCheck(Check):
    """The open files of the process; null where the system doesn't count them."""

    open: int | None
    limit: int


class Checks(Struct):
    """What must work. `age` of the price is that of its newest quote."""

    price: Check
    store: Check
    broker: Check
    canary: Check  # a stream that this instance reads itself
    descriptors: DescriptorCheck


class Readiness(Struct):
    """Whether this instance should get traffic, the reasons if not, and every check."""

    ready: bool
    status: Status
    reasons: list[str]
    checks: Checks


@dataclass(frozen=True, slots=True)
class ReadinessProbe:
    """The parts of an instance that must work, with `interval` seconds between rounds."""

    hub: Hub
    outbox: Outbox
    store: LastSuccess
    link: Link
    canary: Canary
    interval: float
    count_open_files: Callable[[], int | None] = open_files

    def run(self) -> Readiness:
        """Check everything, without I/O."""
        checks = Checks(
            price=self._price(),
            store=_check(self._store_fault(), self.store.age),
            broker=_check(self.link.fault and f"the broker fails: {self.link.fault}", self.link.age),
            canary=self._canary(),
            descriptors=self._descriptors(),
        )
        all_ = (checks.price, checks.store, checks.broker, checks.canary, checks.descriptors)
        reasons = ["shutting down"] if self.hub.draining else []
        reasons += [check.reason for check in all_ if check.reason is not None]
        return Readiness(not reasons, self.hub.status, reasons, checks)

    def _price(self) -> Check:
        hub, latest = self.hub, self.hub.latest
        # A source whose quota is tighter than the interval isn't silent before it may be polled again.
        spacing = min((source.spacing for source in hub.update.sources), default=0)
        limit, reason = ROUNDS * max(self.interval, spacing), None
        if hub.status is Status.STALE:
            reason = hub.reason
        elif hub.silence > limit:
            reason = f"no source has answered for {limit:g} s"
        return _check(reason, None if latest is None else latest.quote_age / 1000)

    def _store_fault(self) -> str | None:
        outbox = self.outbox
        if outbox.fault is None:
            return None
        lost = f" and {outbox.lost} are lost" if outbox.lost else ""
        return f"the store fails, {len(outbox)} prices wait for it{lost}: {outbox.fault}"

    def _canary(self) -> Check:
        limit = self.hub.heartbeat + CANARY_MARGIN
        is_silent = self.canary.silence > limit and not self.hub.draining
        return _check(
            f"no event reached this instance's own stream for {limit:g} s" if is_silent else None,
            self.canary.age,
        )

    def _descriptors(self) -> DescriptorCheck:
        count, limit = self.count_open_files(), file_limit()
        reason = None
        if count is not None and limit - count < min(MIN_DESCRIPTORS, limit // 16):
            reason = f"{limit - count} of {limit} file descriptors are left; raise the limit of open files"
        check = _check(reason, None if count is None else 0.0)
        return DescriptorCheck(check.status, check.age, check.reason, count, limit)


def _check(reason: str | None, age: float | None) -> Check:
    status = CheckStatus.OK if reason is None else CheckStatus.FAILING
    return Check(status, None if age is None else round(age, 1), reason)
