"""The networks of TRUSTED_PROXIES."""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable

from btc_price_tracker.web.address.groups import packed


class Trusted:
    """A set of networks. Looking an address up takes as long as there are lengths of prefixes, not networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks` are addresses or CIDR, as the settings have validated them."""
        prefixes = defaultdict[tuple[int, int], set[int]](set)
        for text in networks:
            network = ipaddress.ip_network(text)
            base = packed(str(network.network_address)) or b""
            host_bits = network.max_prefixlen - network.prefixlen
            prefixes[len(base), host_bits].add(int.from_bytes(base) >> host_bits)
        self._prefixes = [(*key, frozenset(found)) for key, found in prefixes.items()]

    def __contains__(self, host: object) -> bool:
        """Whether this is the address of a trusted proxy."""
        address = packed(host) if isinstance(host, str) else None
        if address is None:
            return False
        number, size = int.from_bytes(address), len(address)
        return any(size == length and number >> bits in found for length, bits, found in self._prefixes)
