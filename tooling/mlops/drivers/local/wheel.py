"""The scoring server as a wheel, assembled from the installed package: same files, same bytes, same digest.

It is neither built nor downloaded, so that an edit of the scoring server needs no build tool and no network. Nothing is
compressed, because compressors of different versions give different bytes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "mlops_scoring"

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip archive can say."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel in memory.

    Attributes:
        name: Its file name, which installers read.
        sha256: Digest of its bytes.
        content: The bytes.
    """

    name: str
    sha256: str
    content: bytes


@functools.cache
def scoring_wheel() -> Wheel:
    """The wheel of the installed scoring server; the package is found, not imported."""
    spec = find_spec(PACKAGE)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if not locations:
        raise ModuleNotFoundError(PACKAGE)
    release = version("mlops-scoring")
    return assemble(Path(locations[0]), release)


def assemble(package: Path, release: str) -> Wheel:
    """Pack a package's files as a wheel of the format that PyPA's "binary distribution format" describes.

    Args:
        package: The folder of the package.
        release: Its version.
    """
    files = {
        f"{package.name}/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    info = f"{package.name}-{release}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package.name.replace('_', '-')}\nVersion: {release}\n"
    files[f"{info}/METADATA"] = (metadata + "Requires-Python: >=3.11\n").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: mlops\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD").encode()
    content = _zip(files)
    name = f"{package.name}-{release}-py3-none-any.whl"
    return Wheel(name, hashlib.sha256(content).hexdigest(), content)


def _record(files: dict[str, bytes], own: str) -> str:
    lines = []
    for name in sorted(files):
        hashed = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={hashed},{len(files[name])}\n")
    return "".join(lines) + f"{own},,\n"


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()
