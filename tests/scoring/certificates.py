"""Certificates made for a test by OpenSSL."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate that signs itself, and its key."""

    certificate: Path
    key: Path

    def trust(self) -> ssl.SSLContext:
        """A client that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=self.certificate)


def make_pair(folder: Path, name: str) -> Pair:
    """Make a certificate for 127.0.0.1 and `localhost`."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *(
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,digitalSignature",
            ),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return pair


def install(pair: Pair, folder: Path) -> Pair:
    """Put a pair where an endpoint looks for it, as Kubernetes does: by the exchange of one symbolic link."""
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / f"..{pair.certificate.stem}"
    version.mkdir(exist_ok=True)
    (version / "tls.crt").write_bytes(pair.certificate.read_bytes())
    (version / "tls.key").write_bytes(pair.key.read_bytes())
    link = folder / "..next"
    link.symlink_to(version.name)
    os.replace(link, folder / "..data")  # noqa: PTH105 - a link is replaced, not what it points to
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    return Pair(folder / "tls.crt", folder / "tls.key")
