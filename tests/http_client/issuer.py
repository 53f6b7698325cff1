"""A certificate authority of the test's own, with openssl."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

OPENSSL = shutil.which("openssl")

_CONFIGURATION = """
[ca]
default_ca = all
[all]
database = {folder}/index
new_certs_dir = {folder}
default_md = sha256
policy = names
x509_extensions = extensions
rand_serial = yes
unique_subject = no
[names]
commonName = supplied
[extensions]
subjectAltName = {names}
basicConstraints = CA:TRUE
"""


class Issued(NamedTuple):
    """A self-signed certificate and its key, as paths of PEM files."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def issue(folder: Path, names: str, start: str = "20200101000000Z", end: str = "21200101000000Z") -> Issued:
    """A certificate for names like `DNS:localhost,IP:127.0.0.1`, valid between two times in UTC."""
    if OPENSSL is None:
        pytest.skip("no openssl to make a certificate with")
    folder.mkdir()
    key, request, certificate, configuration = (
        folder / name for name in ("key.pem", "request.pem", "certificate.pem", "ca.conf")
    )
    (folder / "index").touch()
    configuration.write_text(_CONFIGURATION.format(folder=folder, names=names))
    new: list[str | Path] = [
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=test",
    ]
    _openssl("req", *new, "-keyout", key, "-out", request)
    dates = ["-startdate", start, "-enddate", end]
    signing: list[str | Path] = [
        "-selfsign",
        "-keyfile",
        key,
        "-in",
        request,
        "-config",
        configuration,
        *dates,
    ]
    _openssl("ca", "-batch", "-notext", *signing, "-out", certificate)
    return Issued(certificate, key)


def _openssl(*words: str | Path) -> None:
    subprocess.run([str(OPENSSL), *map(str, words)], check=True, capture_output=True)
