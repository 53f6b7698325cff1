"""Where the time axis is labelled, for every range, width and phase."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import serve_modules
from browser.process import Server

InZone = Callable[[str], Page]

RANGES = [60, 90, 300, 1000, 3600, 7000, 21_600, 86_400]  # seconds
WIDTHS = [14, 16, 20, 30, 45, 70, 150]  # rem

LABELS = """async ([from, to, width]) => {
  const { timeLabels } = await import("/page/time-axis.js");
  return timeLabels(from, to, width);
}"""
EVERYWHERE = """async ([ranges, widths]) => {
  const { timeLabels } = await import("/page/time-axis.js");
  const bad = [];
  for (const range of ranges) for (const width of widths) for (let phase = 0; phase < 97; phase++) {
    const from = 1_700_000_000 + (phase * 86_400) / 97;
    const labels = timeLabels(from, from + range, width);
    const at = ({ time }) => ((time - from) / range) * width;
    const overlap = labels.some((label, i) => i && at(label) - at(labels[i - 1]) < 0.47 * label.text.length + 0.5);
    const outside = labels.some((label) => at(label) < 0.235 * label.text.length || at(label) > width);
    if (labels.length < 2 || overlap || outside) bad.push([range, width, phase, labels.map(({ text }) => text)]);
  }
  return bad;
}"""


@pytest.fixture
def in_zone(demo: Server, chromium: Browser) -> InZone:
    def go(zone: str) -> Page:
        page = chromium.new_page(timezone_id=zone)
        serve_modules(page)
        page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body=""))
        page.goto(f"{demo.url}/blank")
        return page

    return go


def texts(page: Page, at: int, seconds: int, width: float) -> list[str]:
    labels: list[dict[str, Any]] = page.evaluate(LABELS, [at, at + seconds, width])
    return [label["text"] for label in labels]


def test_time_labels_fit_and_do_not_overlap(blank: Page) -> None:
    assert blank.evaluate(EVERYWHERE, [RANGES, WIDTHS]) == []


@pytest.mark.parametrize(
    ("seconds", "width", "expected"),
    [
        (300, 32, ["22:14", "22:15", "22:16", "22:17", "22:18"]),
        (300, 14, ["22:14", "22:16", "22:18"]),
        (500, 14, ["22:15", "22:18", "22:21"]),
        (3600, 14, ["22:20", "22:40", "23:00"]),
        (3600, 20, ["22:30", "22:45", "23:00"]),
        (21_600, 14, ["00:00", "02:00", "04:00"]),
        (86_400, 20, ["00:00", "06:00", "12:00", "18:00"]),
    ],
)
def test_labels_stand_at_round_times(
    in_zone: InZone, seconds: int, width: float, expected: list[str]
) -> None:
    assert texts(in_zone("UTC"), 1_700_000_010, seconds, width) == expected


def test_round_times_are_those_of_the_reader(in_zone: InZone) -> None:
    """Kathmandu is 5 h 45 min ahead of UTC."""
    page = in_zone("Asia/Kathmandu")
    assert texts(page, 1_700_000_010, 3600, 14) == ["04:20", "04:40"]
    assert texts(page, 1_700_000_010, 86_400, 20) == ["06:00", "12:00", "18:00", "00:00"]


@pytest.mark.parametrize(
    "change", [1_711_846_800, 1_729_990_800]
)  # the seconds of 2024 at which Berlin turns its clocks
def test_labels_stay_round_across_daylight_saving(in_zone: InZone, change: int) -> None:
    page = in_zone("Europe/Berlin")
    assert set(texts(page, change - 43_200, 86_400, 20)) <= {"00:00", "06:00", "12:00", "18:00"}
    assert all(text.endswith(":00") for text in texts(page, change - 10_800, 21_600, 20))
