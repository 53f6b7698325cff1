"""Any text as a setting is accepted or described; there is no other error."""

from hypothesis import given, settings
from hypothesis import strategies as st

from btc_price_tracker.errors import SettingsError
from btc_price_tracker.settings import Settings, load

NASTY = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1e999",
        "NaN",
        "9" * 400,
        "[",
        "[::1",
        "http://[",
        "http://a:b",
        "sqlite:///\0",
        "\ud800",
    ),
    *("\u0663", "postgresql://", "redis://:", "nats://a:99999", "kafka://[::1", "*", ",", "../..", "\x1b[2J"),
)
texts = st.sampled_from(NASTY) | st.text(max_size=30) | st.text("0123456789.:/@%[]{}-,*smhd", max_size=30)


def faults_of(values: dict[str, str]) -> tuple[str, ...]:
    try:
        load(values)
    except SettingsError as error:
        return error.faults
    return ()


@given(values=st.dictionaries(st.sampled_from(list(Settings.model_fields)), texts, min_size=1, max_size=3))
@settings(max_examples=200)
def test_any_text_is_accepted_or_described(values: dict[str, str]) -> None:
    for fault in faults_of(values):
        assert fault.partition(":")[0].lower() in {*values, "tls_key"}  # which TLS_CERT wants
        assert len(fault) < 1000
