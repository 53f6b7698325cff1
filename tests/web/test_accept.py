"""What clients accept, however they write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.web.accept import accepted, accepts_gzip


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("identity, gzip ; q=1.000", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("xgzip", False),
        ("gzip;q=2", False),
        ("gzip;q=", False),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(header: str, allowed: bool) -> None:  # noqa: FBT001
    assert accepts_gzip(header) is allowed


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    assert all(0 <= item.quality <= 1 for item in accepted(header))
