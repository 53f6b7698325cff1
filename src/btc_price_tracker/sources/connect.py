"""From a source to the upstream that asks it over HTTP."""

from random import Random

from btc_price_tracker.clock import Clock
from btc_price_tracker.http_client.client import Client
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import Endpoint
from btc_price_tracker.sources.ratelimit import RateLimiter, is_pro, spacing, spacing_after_fault
from btc_price_tracker.sources.secrets import secrets_of
from btc_price_tracker.sources.upstream import Upstream


def connect(
    source: SourceDefinition, client: Client, clock: Clock, random: Random, key: str = ""
) -> Upstream:
    """Make the upstream of a source at its `url`; `key` is CoinGecko's and is sent to no one else."""
    if source.name != "coingecko":
        key = ""
    header = "x-cg-pro-api-key" if is_pro(source.url) else "x-cg-demo-api-key"
    endpoint = Endpoint(client, source.url + source.path, key, header)
    usual = spacing(source.name, source.url, keyed=bool(key))
    after_fault = spacing_after_fault(source.name, usual, keyed=bool(key))
    upstream = Upstream(source, endpoint.get, RateLimiter(usual, random, after_fault), clock, random)
    upstream.hide(secrets_of(source.url, key))
    return upstream
