"""The certificate authorities that are trusted."""

import os
import ssl
import sys
from pathlib import Path

from btc_price_tracker.errors import HttpClientError

# Where systems keep certificates, for a Python that was built with other paths.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def certificates() -> ssl.SSLContext:
    """Load those of SSL_CERT_FILE, else SSL_CERT_DIR, else the system's. Raises HttpClientError."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        context = _context(file or None, folder or None)
    except OSError as error:
        name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
        raise HttpClientError(
            f"{name} can't be used ({error.strerror}): set it to a file (or folder) of PEM certificates, or unset it"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _context(file: str | None, folder: str | None) -> ssl.SSLContext:
    if file:
        return ssl.create_default_context(cafile=file)
    if folder:
        any(Path(folder).iterdir())  # OpenSSL ignores one that is missing
        return ssl.create_default_context(capath=folder)
    if sys.platform == "darwin":
        import truststore  # noqa: PLC0415 - installed on macOS only

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=None if _knows_certificates() else _bundle())


def _knows_certificates() -> bool:
    """Whether OpenSSL finds certificates in its default paths."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))


def _bundle() -> str | None:
    return next(filter(os.path.isfile, _BUNDLES), None)
