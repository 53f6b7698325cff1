"""From the definition of a source to the upstream that polls it over HTTP."""

from random import Random

from btc_price_tracker.clock import Clock
from btc_price_tracker.http_client.traced import Getter
from btc_price_tracker.sources.clocks import Clocks
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import Endpoint
from btc_price_tracker.sources.ratelimit import RateLimiter, is_pro, spacing, spacing_after_fault
from btc_price_tracker.sources.secrets import secrets_of
from btc_price_tracker.sources.upstream import Upstream


def connect(
    definition: SourceDefinition,
    client: Getter,
    clock: Clock,
    random: Random,
    key: str = "",
    *,
    clocks: Clocks | None = None,
    parent: RateLimiter | None = None,
) -> Upstream:
    """Make the upstream of a source at its `url`.

    `key` is sent to CoinGecko only. `clocks` are those of all sources that are polled together, `parent` is the rate
    limiter of the source that shares the API.
    """
    name, url = definition.name, definition.url
    if name != "coingecko":
        key = ""
    header = "x-cg-pro-api-key" if is_pro(url) else "x-cg-demo-api-key"
    usual = spacing(name, url, keyed=bool(key))
    return Upstream(
        definition,
        Endpoint(client, url + definition.path, key, header).get,
        RateLimiter(usual, random, spacing_after_fault(name, usual, keyed=bool(key)), parent),
        clock,
        random,
        clocks=clocks,
        secrets=secrets_of(url, key),
    )
