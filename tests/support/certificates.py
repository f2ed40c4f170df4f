"""Certificates for tests, made with the program openssl: an authority, and whom it vouches for. Knows files only."""

from __future__ import annotations

import subprocess
from pathlib import Path

import tools

DAYS = "3650"


class Certificates:
    """A certificate authority in a folder.

    Args:
        folder: where its files go.
        name: what it calls itself.

    Attributes:
        ca: the file with its certificate.
    """

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        tools.need("openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", DAYS),
            *("-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Make a certificate for a server, or for a client.

        Args:
            name: its common name.
            hosts: names and IPv4 addresses at which it is reached.

        Returns:
            The files of the certificate and of its key.
        """
        made, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        kinds = ["IP" if host.replace(".", "").isdecimal() else "DNS" for host in hosts or (name,)]
        named = ",".join(f"{kind}:{host}" for kind, host in zip(kinds, hosts or (name,), strict=True))
        extensions.write_text(f"subjectAltName={named}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", DAYS),
            *("-extfile", extensions, "-out", made),
        )
        return made, key


def _openssl(*words: object) -> None:
    command = [tools.find("openssl") or "openssl", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr}")
