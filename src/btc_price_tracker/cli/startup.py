"""Common start of the commands: the settings, the limit of open files, logging."""

from collections.abc import Mapping

from btc_price_tracker.settings import Settings, load
from btc_price_tracker.settings.open_files import raise_file_limit
from btc_price_tracker.telemetry import logs


def load_settings(flags: Mapping[str, str | None]) -> Settings:
    """Raise the limit of open files, load the settings and set up logging. Raises SettingsError."""
    raise_file_limit()  # first: the default of MAX_CLIENTS depends on it
    settings = load(flags)
    logs.configure(settings.log_level, settings.log_format)
    return settings
