from btc_price_tracker.price.model import AssessedQuote, Kind
from btc_price_tracker.price.wording import causes


def quote(source: str, reason: str | None) -> AssessedQuote:
    return AssessedQuote(source=source, kind=Kind.EXCHANGE, reason=reason)


def test_causes_group_sources_by_reason_and_omit_used_quotes() -> None:
    quotes = [quote("kraken", "HTTP 503"), quote("coinbase", None), quote("okx", "HTTP 503")]
    assert causes(quotes) == "; kraken and okx: HTTP 503"
