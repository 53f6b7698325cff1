"""What the commands do before their work: load the settings, raise the limit of open files, set up logging."""

from collections.abc import Mapping

from btc_price_tracker.settings import Settings, load
from btc_price_tracker.settings.open_files import raise_file_limit
from btc_price_tracker.telemetry import logs


def load_settings(flags: Mapping[str, str | None]) -> Settings:
    """Load the settings, raise the limit of open files and log to stderr from now on. Raises SettingsError."""
    raise_file_limit()  # first: the default of MAX_CLIENTS follows from it
    settings = load(flags)
    logs.configure(settings.log_level, settings.log_format)
    return settings
