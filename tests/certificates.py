"""Certificates for servers of tests, made with openssl."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate of localhost and 127.0.0.1, and its key."""

    certificate: Path
    key: Path

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts nothing else."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def install(self, at: "CertificateFiles") -> None:
        """Replace these files, as programs that renew certificates do: one after the other."""
        for old, new in ((at.certificate, self.certificate), (at.key, self.key)):
            new.with_suffix(".new").write_bytes(new.read_bytes())
            new.with_suffix(".new").replace(old)


def make_certificate(
    folder: Path, *, days: int = 30, algorithm: str = "EC", password: str = ""
) -> CertificateFiles:
    """Make one that is signed by itself; with negative `days` it has expired."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder.mkdir(parents=True, exist_ok=True)
    files = CertificateFiles(folder / "tls.crt", folder / "tls.key")
    option = "ec_paramgen_curve:P-256" if algorithm == "EC" else "rsa_keygen_bits:2048"
    generate = [openssl, "genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", str(files.key)]
    protection = ["-aes256", "-pass", f"pass:{password}"] if password else []
    _run(*generate, *protection)
    extension = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    request = [openssl, "req", "-x509", "-key", str(files.key), "-out", str(files.certificate)]
    request += ["-subj", "/CN=localhost", "-addext", extension, "-days", str(days)]
    _run(*request, *(["-passin", f"pass:{password}"] if password else []))
    return files


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
