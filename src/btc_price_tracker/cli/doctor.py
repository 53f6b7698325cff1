"""`doctor`: examine the machine, the sources, the store and the broker, and say what limits the service."""

import asyncio
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from statistics import median

from btc_price_tracker import app, configured
from btc_price_tracker.access import token_file
from btc_price_tracker.cli import machine
from btc_price_tracker.cli.machine import Finding, Verdict
from btc_price_tracker.cli.sources import is_quorum
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import (
    BrokerError,
    HttpClientError,
    SettingsError,
    StoreError,
    StoreInUse,
    TokensError,
)
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.model import Answer
from btc_price_tracker.settings import Settings
from btc_price_tracker.telemetry import logs
from btc_price_tracker.web.api.views import SourceView
from btc_price_tracker.web.server.certificate import RENEWAL, SOON, certificate_of
from btc_price_tracker.web.server.server import listen

SLOW = 2000.0  # ms: a source that takes longer is often too late for a round
CLOCK_DRIFT = 3000  # ms; a Date is exact to a second, and on its way for one
TIME_LIMIT = 20.0  # seconds for each examination


def run(flags: Mapping[str, str]) -> int:
    """Print every finding; returns 1 if the service can't work with one of them. Raises SettingsError."""
    settings = load_settings(flags)
    logs.configure("error", settings.log_format)  # the findings show what fails
    findings = asyncio.run(examine(settings))
    for finding in findings:
        print(_text(finding))
    failing = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    if failing:
        print(f"\n{len(failing)} of {len(findings)} findings keep the service from working.", file=sys.stderr)
    return 1 if failing else 0


async def examine(settings: Settings, time_limit: float = TIME_LIMIT) -> list[Finding]:
    """Examine everything, within `time_limit` seconds each, whatever fails."""
    examinations: list[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]]] = [
        ("HOST", _host),
        ("TLS", _tls),
        ("tokens", _tokens),
        ("proxy", _proxy),
        ("sources", _sources),
        ("store", _store),
        ("broker", _broker),
    ]
    found = await asyncio.gather(
        *(_examine(subject, examination(settings), time_limit) for subject, examination in examinations)
    )
    local = [machine.open_files(), machine.ports(settings), machine.disk(settings)]
    return local + [finding for findings in found for finding in findings]


async def _examine(subject: str, findings: Awaitable[list[Finding]], time_limit: float) -> list[Finding]:
    """The findings of one examination; an error becomes one: its message has the remedy."""
    try:
        async with asyncio.timeout(time_limit):
            return await findings
    except TimeoutError:
        return [Finding(Verdict.FAIL, subject, f"no result within {time_limit:g} s")]
    except (SettingsError, StoreError, BrokerError, TokensError, HttpClientError, OSError) as error:
        return [Finding(Verdict.FAIL, subject, str(error).strip())]


async def _host(settings: Settings) -> list[Finding]:
    for listener in listen(settings.host, 0):  # not PORT, which a running server uses
        listener.close()
    return [Finding(Verdict.OK, "HOST", f"{settings.host} is an address of this machine")]


async def _tls(settings: Settings) -> list[Finding]:
    certificate = certificate_of(settings, SystemClock())
    if certificate is None:
        return [Finding(Verdict.OK, "TLS", "none in this process: TLS_CERT is not set")]
    left = certificate.left
    text = f"the certificate expires in {left.days} days"
    if left < SOON:
        return [Finding(Verdict.WARN, "TLS", text, RENEWAL)]
    return [Finding(Verdict.OK, "TLS", text)]


async def _tokens(settings: Settings) -> list[Finding]:
    if settings.tokens_file is None:
        return []
    return [Finding(Verdict.OK, "tokens", f"{len(token_file.read(settings.tokens_file))} in TOKENS_FILE")]


async def _proxy(settings: Settings) -> list[Finding]:
    await check_connectivity(configured.source_urls(settings))
    return [
        Finding(
            Verdict.OK, "proxy", "certificates were found; proxies, where the environment names any, answer"
        )
    ]


async def _store(settings: Settings) -> list[Finding]:
    begun = time.monotonic()
    try:
        async with configured.open_configured_store(settings) as store:
            await store.span()
            description = await store.describe()
    except StoreInUse as error:
        return [
            Finding(Verdict.WARN, "store", str(error), "unless that is the running service, which needs it")
        ]
    text = f"{description}; opened and read in {(time.monotonic() - begun) * 1000:.0f} ms"
    return [Finding(Verdict.OK, "store", text)]


async def _broker(settings: Settings) -> list[Finding]:
    delay = await app.probe_broker(settings)
    if delay is None:
        return [Finding(Verdict.OK, "broker", "none: this process is the whole service")]
    return [Finding(Verdict.OK, "broker", f"a probe came back within {delay * 1000:.0f} ms")]


async def _sources(settings: Settings) -> list[Finding]:
    """The clock, each source, and whether they suffice for a price."""
    update, views, answers = await app.poll_once(settings)
    verdict = Verdict.OK if is_quorum(update.status, settings) else Verdict.FAIL
    remedy = "" if verdict is Verdict.OK else "see the sources above; set others with SOURCES"
    quorum = Finding(verdict, "price", f"{update.status}: {update.reason}", remedy)
    return [clock(answers), *map(_source, views), quorum]


def clock(answers: Sequence[Answer]) -> Finding:
    """How far the clock of this machine is from those of the sources."""
    offsets = [answer.clock_offset for answer in answers if answer.clock_offset is not None]
    remedy = "synchronise it: timedatectl set-ntp true, or chrony"
    if (contradiction := ClockCheck(SystemClock()).review(answers)) is not None:
        return Finding(Verdict.FAIL, "clock", contradiction, remedy)
    if not offsets:
        return Finding(Verdict.WARN, "clock", "no source has shown the time", "make a source reachable")
    offset = median(offsets)
    text = f"{abs(offset) / 1000:.1f} s {'ahead of' if offset > 0 else 'behind'} the median of {len(offsets)} sources"
    if abs(offset) > CLOCK_DRIFT:
        return Finding(Verdict.WARN, "clock", text, remedy)
    return Finding(Verdict.OK, "clock", f"{text}, by their Date, which is exact to a second")


def _source(view: SourceView) -> Finding:
    subject = f"source {view.name}"
    if view.error is not None:
        remedy = f"check the network and {view.name.upper()}_URL, or leave it out of SOURCES"
        return Finding(Verdict.WARN, subject, view.error, remedy)
    latency = view.latency_ms or 0.0
    if latency > SLOW:
        return Finding(
            Verdict.WARN, subject, f"answered in {latency:,.0f} ms", "a round may end before it answers"
        )
    return Finding(Verdict.OK, subject, f"answered in {latency:,.0f} ms")


def _text(finding: Finding) -> str:
    return "\n".join(_lines(finding))


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.verdict:<5}{finding.subject:<23}{finding.text}"
    if finding.remedy:
        yield textwrap.indent(finding.remedy, " " * 28)
