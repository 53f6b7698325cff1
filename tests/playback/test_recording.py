import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.playback import Closes, Recording, load, packaged

STARTED = 1_764_000_000_000  # any wall time
MINUTE = 60_000
DAY = 1440 * MINUTE
HISTORY = 1_677_933_000_000  # 2023-03-04 12:30 UTC


@pytest.fixture(scope="module")
def closes() -> Closes:
    return packaged()


def played(price: str, *prices: str) -> Closes:
    """A table of one venue's minutes, from the epoch on."""
    cells = (price, *prices)
    return Closes(0, {"kraken": tuple(Decimal(cell) if cell else None for cell in cells)})


def test_the_package_holds_24_hours_from_half_past_twelve(closes: Closes) -> None:
    assert (closes.start, closes.minutes) == (HISTORY, 1440)


def test_the_packaged_window_is_small() -> None:
    data = Path(__file__).parents[2] / "src/btc_price_tracker/playback/data"
    assert sum(file.stat().st_size for file in data.iterdir()) <= 300 * 1024


def test_the_first_close_is_what_the_exchange_gave(closes: Closes) -> None:
    said = Recording(closes, STARTED).ticker("coinbase", STARTED)
    assert said is not None
    assert (said.last, said.bid, said.ask) == (Decimal("22350.54"), Decimal("22349.42"), Decimal("22351.66"))


def test_at_speed_60_coinbase_falls_silent_after_four_and_a_half_minutes_for_277_seconds(
    closes: Closes,
) -> None:
    recording = Recording(closes, STARTED, speed=60)
    answers = [recording.ticker("coinbase", STARTED + second * 1000) for second in range(269, 548)]
    assert answers[0]
    assert answers[-1]
    assert answers[1:-1] == [None] * 277


def test_the_others_carry_the_price_through_the_outage(closes: Closes) -> None:
    recording = Recording(closes, STARTED, speed=60)
    during = STARTED + 400_000
    assert recording.ticker("kraken", during)
    assert recording.ticker("binanceus", during)
    assert recording.ticker("coingecko", during)


def test_a_venue_that_was_not_recorded_is_silent(closes: Closes) -> None:
    assert Recording(closes, STARTED).ticker("gemini", STARTED) is None


def test_the_tether_rate_keeps_its_decimals(closes: Closes) -> None:
    said = Recording(closes, STARTED).ticker("tether", STARTED)
    assert said is not None
    assert (said.last, said.bid, said.ask) == (Decimal("1.0"), Decimal("0.99995"), Decimal("1.00005"))


@pytest.mark.parametrize(("speed", "wall"), [(1, MINUTE), (10, 6_000), (60, 1_000), (0.5, 2 * MINUTE)])
def test_a_minute_lasts_a_minute_over_the_speed(speed: float, wall: int) -> None:
    recording = Recording(played("1", "2", "3"), STARTED, speed)
    before, after = (recording.ticker("kraken", STARTED + wall + step) for step in (-1, 0))
    assert before is not None
    assert after is not None
    assert (before.last, after.last) == (Decimal(1), Decimal(2))


def test_history_starts_again_at_its_end(closes: Closes) -> None:
    recording = Recording(closes, STARTED, speed=60)
    assert recording.history(STARTED + DAY // 60 - 1) == HISTORY + DAY - 60
    assert recording.history(STARTED + DAY // 60) == HISTORY
    first, again = (recording.ticker("kraken", STARTED + turn * DAY // 60) for turn in (0, 7))
    assert first is not None
    assert again is not None
    assert again.last == first.last
    assert again.time == STARTED + 7 * DAY // 60


@pytest.mark.parametrize("speed", [1, 7.3, 60, 6000])
def test_a_venue_gives_the_present_as_its_time_at_any_speed(closes: Closes, speed: float) -> None:
    now = STARTED + 12_345
    said = Recording(closes, STARTED, speed).ticker("kraken", now)
    assert said is not None
    assert said.time == now


@pytest.mark.parametrize(("speed", "delay"), [(1, 60_000), (60, 1_000), (600, 100)])
def test_coingecko_is_a_minute_of_history_old(closes: Closes, speed: float, delay: int) -> None:
    now = STARTED + 200_000
    said = Recording(closes, STARTED, speed).ticker("coingecko", now)
    assert said is not None
    assert said.time == now - delay


def test_coingecko_is_the_mean_of_the_venues_that_answered_then() -> None:
    silence = (Decimal(1), Decimal(1))
    prices = {
        "coinbase": (Decimal("100.00"), None, None),
        "kraken": (Decimal("100.01"), Decimal(300), Decimal(1)),
        "binanceus": (Decimal("100.03"), Decimal(400), Decimal(1)),
        "tether": (Decimal(1), *silence),
    }
    recording = Recording(Closes(0, prices), STARTED, speed=1)
    said = [recording.ticker("coingecko", STARTED + minute * MINUTE) for minute in (1, 2)]
    assert [each and each.last for each in said] == [Decimal("100.01"), Decimal("350.00")]


def test_coingecko_falls_silent_when_all_venues_did() -> None:
    recording = Recording(played("1", "", "3"), STARTED, speed=1)
    assert recording.ticker("coingecko", STARTED + 2 * MINUTE) is None


def test_at_its_start_coingecko_knows_nothing_of_the_end_of_the_window() -> None:
    recording = Recording(played("1", "2", "3"), STARTED, speed=1)
    said = recording.ticker("coingecko", STARTED + 30_000)
    assert said is not None
    assert (said.last, said.time) == (Decimal(1), STARTED)


def test_a_wall_clock_set_back_plays_history_backwards_and_breaks_nothing() -> None:
    said = Recording(played("1", "2", "3"), STARTED, speed=1).ticker("kraken", STARTED - 1)
    assert said is not None
    assert said.last == 3


def test_any_table_of_minutes_can_be_played_with_a_column_of_choice(tmp_path: Path) -> None:
    path = tmp_path / "minutes.csv.gz"
    path.write_bytes(gzip.compress(b"minute_epoch,other,btcusdt\n60,7,\n120,8,100.5\n"))
    closes = load(path, {"binance": "btcusdt"})
    assert closes == Closes(60_000, {"binance": (None, Decimal("100.5"))})


@pytest.mark.parametrize(
    "table",
    [b"minute_epoch,else\n60,1\n", b"minute_epoch,btcusd\n60,1\n180,2\n", b"minute_epoch,btcusd\n"],
    ids=["no such column", "a hole between minutes", "empty"],
)
def test_a_table_of_another_shape_is_refused(tmp_path: Path, table: bytes) -> None:
    path = tmp_path / "minutes.csv.gz"
    path.write_bytes(gzip.compress(table))
    with pytest.raises(ValueError, match="btcusd"):
        load(path, {"kraken": "btcusd"})
