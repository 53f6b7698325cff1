"""`doctor`: what it finds on a machine, and its exit code."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path

import pytest

from broker import valkey
from btc_price_tracker.cli import doctor, machine
from btc_price_tracker.cli.machine import Verdict
from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Answer, Kind, Quote
from btc_price_tracker.settings import Settings, load
from btc_price_tracker.store import open_store
from certificates import make_certificate
from command import run

SOURCES = ("coinbase", "kraken", "bitstamp")
QUOTE = Quote(Decimal(90_000), bid=Decimal(89_999), ask=Decimal(90_001))


def playback() -> Playback:
    return Playback(Script(dict.fromkeys(SOURCES, QUOTE)))


def environment_of(sources: Playback) -> dict[str, str]:
    urls = {f"{name.upper()}_URL": sources.url(name) for name in SOURCES}
    return {"SOURCES": ",".join(SOURCES), "STORE_URL": "memory://", **urls}


async def test_everything_is_examined_and_the_exit_code_is_0(tmp_path: Path) -> None:
    with valkey.running() as server:
        async with playback() as sources:
            environment = environment_of(sources) | {
                "BROKER_URL": server.new_url(),
                "STORE_URL": f"sqlite:///{tmp_path}/prices.db",
            }
            result = await asyncio.to_thread(run, "doctor", **environment)
    assert (result.returncode, result.stderr) == (0, "")
    found = dict(re.findall(r"^(?:ok|warn) +(open files|source \w+|\w+) +(.*)$", result.stdout, re.MULTILINE))
    assert list(found) == [
        "open files",
        "ports",
        "disk",
        "HOST",
        "TLS",
        "proxy",
        "clock",
        *(f"source {name}" for name in SOURCES),
        "price",
        "store",
        "broker",
    ]
    assert "streams" in found["open files"]
    assert "by their Date" in found["clock"]
    assert re.fullmatch(r"answered in \d+ ms", found["source kraken"])
    assert found["price"].startswith("ok: ")
    assert f"in {tmp_path}/prices.db; opened and read in " in found["store"]
    assert found["broker"].startswith("a probe came back within ")


async def test_failing_source_warns_and_missing_quorum_fails() -> None:
    async with playback() as sources:
        sources.faults["kraken"] = Fault(status=503)
        environment = environment_of(sources)
        one = await asyncio.to_thread(run, "doctor", **environment)
        sources.faults["coinbase"] = sources.faults["bitstamp"] = Fault(status=503)
        all_ = await asyncio.to_thread(run, "doctor", **environment)
    assert one.returncode == 0
    assert re.search(r"^warn source kraken +.*503", one.stdout, re.MULTILINE)
    assert "KRAKEN_URL" in one.stdout
    assert all_.returncode == 1
    assert re.search(r"^fail price +stale: ", all_.stdout, re.MULTILINE)
    assert "1 of 13 findings keep the service from working" in all_.stderr


async def test_one_failure_hides_no_other_finding() -> None:
    async with playback() as sources:
        environment = environment_of(sources) | {
            "BROKER_URL": "redis://user:not-this-one@127.0.0.1:1",
            "STORE_URL": "sqlite:////dev/null/prices.db",
            "HOST": "192.0.2.1",
        }
        result = await asyncio.to_thread(run, "doctor", **environment)
    assert result.returncode == 1
    failing = re.findall(r"^fail (\w+)", result.stdout, re.MULTILINE)
    assert failing == ["HOST", "store", "broker"]
    assert "ok   price" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "not-this-one" not in result.stdout + result.stderr


async def test_store_of_the_running_service_is_no_failure(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prices.db"
    async with playback() as sources:
        store = await open_store(url, capacity=1)
        result = await asyncio.to_thread(run, "doctor", **{**environment_of(sources), "STORE_URL": url})
        await store.close()
    assert result.returncode == 0
    assert re.search(r"^warn store +.*is already in use by process \d+", result.stdout, re.MULTILINE)


async def test_examination_that_takes_too_long_is_a_failure() -> None:
    async with playback() as sources:
        sources.faults.update(dict.fromkeys(SOURCES, Fault(hang=True)))
        urls = {f"{name}_url": sources.url(name) for name in SOURCES}
        settings = load({"sources": ",".join(SOURCES), "store_url": "memory://", **urls})
        findings = await doctor.examine(settings, time_limit=0.5)
    assert ("sources", "no result within 0.5 s") in [(each.subject, each.text) for each in findings]


@pytest.mark.parametrize(
    ("days", "verdict", "text"),
    [
        (30, Verdict.OK, "the certificate expires in 29 days"),
        (3, Verdict.WARN, "the certificate expires in 2 days"),
        (None, Verdict.FAIL, "TLS_KEY: "),
    ],
)
async def test_certificate_is_examined(tmp_path: Path, days: int | None, verdict: Verdict, text: str) -> None:
    files = make_certificate(tmp_path, days=days or 1)
    if days is None:
        files.key.write_text("")
    paths = {"tls_cert": str(files.certificate), "tls_key": str(files.key)}
    async with playback() as sources:
        settings = {name.lower(): value for name, value in environment_of(sources).items()}
        findings = await doctor.examine(load({**settings, **paths}), time_limit=5)
    (found,) = (each for each in findings if each.subject == "TLS")
    assert (found.verdict, found.text[: len(text)]) == (verdict, text)
    assert ("renew it" in found.remedy) == (verdict is Verdict.WARN)


def test_invalid_settings_exit_with_2() -> None:
    assert run("doctor", PORT="nowhere").returncode == 2


def shows(offset: int | None) -> Answer:
    return Answer("kraken", Kind.EXCHANGE, clock_offset=offset)


@pytest.mark.parametrize(
    ("offsets", "verdict", "text"),
    [
        ([900, -200, 300], Verdict.OK, "0.3 s ahead of the median of 3 sources"),
        ([-5000, -5200, 100], Verdict.WARN, "5.0 s behind the median of 3 sources"),
        ([90_000, 91_000, 90_500], Verdict.FAIL, "the clock of this machine is 1 minutes ahead of"),
        ([None], Verdict.WARN, "no source has shown the time"),
    ],
)
def test_clock_is_compared_with_the_sources(offsets: list[int | None], verdict: Verdict, text: str) -> None:
    finding = doctor.clock([shows(offset) for offset in offsets])
    assert finding.verdict is verdict
    assert finding.text.startswith(text)
    assert bool(finding.remedy) is (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("limit", "hard", "verdict", "remedy"),
    [
        (1_048_576, 1_048_576, Verdict.OK, ""),
        (1024, 524_288, Verdict.WARN, "ulimit -n 524288"),
        (1024, 1024, Verdict.WARN, "LimitNOFILE=1048576"),
        (2**31 - 1, 2**31 - 1, Verdict.OK, ""),
    ],
)
def test_limit_of_open_files(limit: int, hard: int, verdict: Verdict, remedy: str) -> None:
    finding = machine.open_files(limit, hard)
    assert finding.verdict is verdict
    assert remedy in finding.remedy
    assert bool(finding.remedy) is bool(remedy)


def settings_with(**values: object) -> Settings:
    return Settings(**{"store_url": "memory://", **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "values", "verdict", "found"),
    [
        ("32768\t60999\n", {"max_clients": 1000}, Verdict.OK, "28,232 ephemeral ones (32768 to 60999)"),
        ("32768\t60999\n", {"max_clients": 0}, Verdict.OK, "a reverse proxy on this machine carries at most"),
        ("32768\t60999\n", {"port": 40_000}, Verdict.WARN, "PORT 40000 is one of them"),
        ("", {}, Verdict.OK, "doesn't show its range"),
    ],
)
def test_ephemeral_ports(
    text: str, values: dict[str, object], verdict: Verdict, found: str, tmp_path: Path
) -> None:
    path = tmp_path / "range"
    path.write_text(text)
    finding = machine.ports(settings_with(**values), path)
    assert finding.verdict is verdict
    assert found in finding.text


@pytest.mark.parametrize(
    ("free", "values", "verdict"),
    [
        (3_000_000_000, {"retention": "90d"}, Verdict.OK),
        (1_200_000_000, {"retention": "90d"}, Verdict.WARN),
        (3_000_000_000, {"retention": "0"}, Verdict.OK),
        (3_000_000_000, {"retention": "0", "interval": 1}, Verdict.WARN),
        (
            100_000_000,
            {"retention": "0", "interval": 1, "store_url": "memory://{}/prices.snapshot"},
            Verdict.WARN,
        ),
        (
            1_200_000_000,
            {"retention": "0", "interval": 1, "store_url": "memory://{}/prices.snapshot"},
            Verdict.OK,
        ),
        (1, {"store_url": "postgresql://host/prices"}, Verdict.OK),
    ],
)
def test_disk_space(
    free: int, values: dict[str, str], verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        def __init__(self, _: Path) -> None:
            self.free = free

    monkeypatch.setattr("shutil.disk_usage", Usage)
    url = values.get("store_url", "sqlite:///{}/prices.db").format(tmp_path / "not made yet")
    finding = machine.disk(settings_with(**{**values, "store_url": url}))
    assert finding.verdict is verdict, finding
    assert bool(finding.remedy) is (verdict is not Verdict.OK)
