"""The certificate and key of TLS_CERT and TLS_KEY: loaded at the start, and again when the files change."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import SettingsError, describe_os_error
from btc_price_tracker.settings import Settings
from btc_price_tracker.web.server.x509 import expiry

SOON = timedelta(
    days=14
)  # before its end a certificate should have been renewed: most programs do so 30 days before
RENEWAL = "renew it; a running server takes up the new files within seconds"
REMINDER = 24 * 3600.0  # seconds between two warnings

log = structlog.get_logger(__name__)


class Loaded(NamedTuple):
    """A certificate that can be used now."""

    context: ssl.SSLContext
    expires: datetime


def load(certificate: Path, key: Path, now: datetime) -> Loaded:
    """Load the files. Raises SettingsError with what is wrong with them, an expired certificate included."""
    try:
        expires = expiry(certificate.read_text(errors="replace"))
    except OSError as error:
        raise _fault("TLS_CERT", certificate, f"can't be read: {describe_os_error(error)}") from error
    except ValueError as error:
        raise _fault("TLS_CERT", certificate, str(error)) from error
    if now > expires:
        raise _fault("TLS_CERT", certificate, f"expired on {_text(expires)}; renew the certificate")
    return Loaded(_context(certificate, key), expires)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # with Python's choice of ciphers: forward secrecy only
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        if "PRIVATE KEY-----" not in key.read_text(errors="replace"):
            raise _fault("TLS_KEY", key, "holds no private key in PEM")
        context.load_cert_chain(certificate, key, password=lambda: _refuse_encrypted(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _fault(
                "TLS_KEY", key, f"is not the key of the certificate in {str(certificate)!r}"
            ) from error
        reason = (error.reason or "unknown reason").replace("_", " ").lower()
        raise _fault("TLS_CERT", certificate, f"and TLS_KEY {str(key)!r} can't be used: {reason}") from error
    except OSError as error:
        raise _fault("TLS_KEY", key, f"can't be read: {describe_os_error(error)}") from error
    return context


def _refuse_encrypted(key: Path) -> str:
    raise _fault(
        "TLS_KEY", key, "is encrypted; decrypt it: openssl pkey -in … -out …, for a file of mode 0600"
    )


def _fault(setting: str, file: Path, text: str) -> SettingsError:
    return SettingsError([f"{setting}: {str(file)!r} {text}"])


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


class Certificate:
    """What new connections are encrypted with. Those that are open keep what they began with."""

    def __init__(self, certificate: Path, key: Path, clock: Clock) -> None:
        """Load the files. Raises SettingsError."""
        self.files = certificate, key
        self._clock = clock
        self._loaded = load(*self.files, self._now())

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._loaded.context

    @property
    def expires(self) -> datetime:
        """The last moment of the certificate."""
        return self._loaded.expires

    @property
    def left(self) -> timedelta:
        """The time until then."""
        return self.expires - self._now()

    def reload(self) -> None:
        """Load the files again; if they can't be used, log why and keep what is loaded."""
        try:
            self._loaded = load(*self.files, self._now())
        except SettingsError as error:
            log.error("certificate not reloaded", reason=error.faults[0], kept_until=_text(self.expires))
        else:
            log.info("certificate reloaded", expires=_text(self.expires))
            self._remind()

    async def watch(self) -> None:
        """Log a warning each day from some time before the certificate expires."""
        while True:
            self._remind()
            await self._clock.sleep(REMINDER)

    def _remind(self) -> None:
        left = self.left
        if left < SOON:
            level, event = (
                (logging.WARNING, "certificate expires soon")
                if left > timedelta()
                else (logging.ERROR, "certificate has expired")
            )
            log.log(level, event, expires=_text(self.expires), days=left.days, remedy=RENEWAL)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC)


def certificate_of(settings: Settings, clock: Clock) -> Certificate | None:
    """The certificate that the settings name, if they name one. Raises SettingsError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key, clock)
