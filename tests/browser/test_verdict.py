"""What the page may claim, from the newest events and their ages."""

from typing import Any

import pytest
from playwright.sync_api import Page

LIVE = {"state": "live", "failures": 0}
GOOD: dict[str, Any] = {
    "link": LIVE,
    "status": {"status": "ok", "reason": "3 exchanges agree."},
    "price": {"price": 1, "status": "ok", "age": 1},
    "sources": {"sources": [{"state": "ok"}, {"state": "error"}], "interval": 10, "price": 1},
}

VERDICT = """async ([events, elapsed]) => {
  const { verdict } = await import("/page/verdict.js");
  const { moment } = await import("/page/elapsed.js");
  for (const [type, event] of Object.entries(events)) if (event) event.at = moment(elapsed[type] ?? 0);
  return verdict(events);
}"""


def verdict(page: Page, elapsed: dict[str, int] | None = None, **changed: Any) -> dict[str, Any]:
    """Of good events, but for those that are `changed`, each so many ms after it came."""
    said: dict[str, Any] = page.evaluate(VERDICT, [GOOD | changed, elapsed or {}])
    return said


def test_a_price_with_live_sources_is_fresh(blank: Page) -> None:
    assert verdict(blank) == {
        "price": "fresh",
        "isLost": False,
        "status": "ok",
        "badge": "OK",
        "reason": "3 exchanges agree.",
    }


@pytest.mark.parametrize(
    "link",
    [
        {"state": "silent", "failures": 0},
        {"state": "waiting", "failures": 1},
        {"state": "reconnecting", "failures": 1},
        {"state": "full", "failures": 0},
    ],
)
def test_without_the_server_nothing_is_fresh(blank: Page, link: dict[str, Any]) -> None:
    said = verdict(blank, link=link)
    assert (said["price"], said["isLost"], said["badge"]) == ("old", True, "Not live")
    assert "agree" not in said["reason"]


def test_a_hand_over_may_take_six_seconds(blank: Page) -> None:
    link = {"state": "reconnecting", "failures": 0}
    assert verdict(blank, {"link": 5_000}, link=link)["price"] == "fresh"
    assert verdict(blank, {"link": 7_000}, link=link)["price"] == "old"


@pytest.mark.parametrize("states", [["error"], ["open", "throttled"], ["stale", "waiting"]])
def test_while_no_source_answers_nothing_is_fresh(blank: Page, states: list[str]) -> None:
    sources = GOOD["sources"] | {"sources": [{"state": state} for state in states]}
    said = verdict(blank, sources=sources)
    assert (said["price"], said["badge"], said["reason"]) == ("old", "Stale", "No source is responding.")


@pytest.mark.parametrize("source", [{"state": "excluded"}, {"state": "throttled", "used": True}])
def test_healthy_source_may_be_excluded_or_waiting(blank: Page, source: dict[str, Any]) -> None:
    assert verdict(blank, sources=GOOD["sources"] | {"sources": [source]})["price"] == "fresh"


def test_prices_that_stop_coming_are_no_longer_fresh(blank: Page) -> None:
    assert verdict(blank, {"price": 34_000})["price"] == "fresh"
    said = verdict(blank, {"price": 36_000})
    assert (said["price"], said["badge"], said["reason"]) == ("old", "Stale", "No new price for 36\u202fs.")
    behind = GOOD["price"] | {"behind": 30_000}
    assert verdict(blank, {"price": 6_000}, price=behind)["price"] == "old"


@pytest.mark.parametrize("event", ["status", "price"])
def test_stale_price_shows_the_reason_of_the_server(blank: Page, event: str) -> None:
    stale = GOOD[event] | {"status": "stale"}
    said = verdict(blank, **{event: stale})
    assert (said["price"], said["reason"]) == ("old", "3 exchanges agree.")


def test_verdict_is_unknown_until_price_and_sources_arrive(blank: Page) -> None:
    assert verdict(blank, price=None)["price"] == "unknown"
    assert verdict(blank, sources=None)["price"] == "unknown"
    said = verdict(blank, price=None, sources=None, status=None, link=None)
    assert (said["price"], said["isLost"], said["badge"], said["reason"]) == ("unknown", False, "", "")


def test_without_a_price_the_reason_is_that_of_the_server(blank: Page) -> None:
    none = GOOD["sources"] | {"price": None}
    status = {"status": "stale", "reason": "No price yet: no exchange answers."}
    said = verdict(blank, price=None, sources=none, status=status)
    assert (said["price"], said["reason"]) == ("none", "No price yet: no exchange answers.")


def test_unknown_status_is_shown_verbatim(blank: Page) -> None:
    assert verdict(blank, status={"status": "splendid"})["badge"] == "splendid"
