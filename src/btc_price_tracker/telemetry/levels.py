"""The levels of the log, per logger, and changing them while the process runs."""

import logging
from collections.abc import Mapping

import structlog

LEVELS = ("debug", "info", "warning", "error")
PACKAGE = __name__.split(".", maxsplit=1)[0]
REMEDY = (
    f"give {', '.join(LEVELS[:-1])} or {LEVELS[-1]}; other levels of single loggers follow, "
    f"like info,{PACKAGE}.sources=debug"
)

log = structlog.get_logger(__name__)


def parse(text: str) -> dict[str, str]:
    """Read `info` or `info,btc_price_tracker.sources=debug`: levels by logger, "" for all others. Raises ValueError."""
    general, *single = (part.strip().lower() for part in text.split(","))
    levels = {"": general, **dict(part.split("=", 1) for part in single if "=" in part)}
    if not set(levels.values()) <= set(LEVELS) or any("=" not in part for part in single):
        raise ValueError(REMEDY)
    return levels


def apply(levels: Mapping[str, str]) -> None:
    """Set the levels, as `parse` returns them."""
    _set_general(levels[""])
    for name, level in levels.items():
        if name:
            logging.getLogger(name).setLevel(_number(level))


def shift(steps: int) -> None:
    """Log less by so many levels, more with a negative number; single loggers keep theirs."""
    current = logging.getLevelName(logging.getLogger(PACKAGE).level).lower()
    level = LEVELS[min(max(LEVELS.index(current) + steps, 0), len(LEVELS) - 1)]
    _set_general(level)
    log.error("log level changed", log_level=level)  # an error, so that it is logged at every level


def _set_general(level: str) -> None:
    """Libraries log from `info` on at most: at `debug` some log what they send. uvicorn logs at `info` what we log."""
    logging.getLogger().setLevel(max(_number(level), logging.INFO))
    logging.getLogger("uvicorn.error").setLevel(max(_number(level), logging.WARNING))
    logging.getLogger(PACKAGE).setLevel(_number(level))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
