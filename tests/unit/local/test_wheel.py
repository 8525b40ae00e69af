"""The scoring server as a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import mlops_scoring
from mlops.drivers.local.wheel import assemble, scoring_wheel


def package(root: Path, *, backwards: bool = False) -> Path:
    files = {"__init__.py": "VERSION = 1\n", "gateway/__init__.py": "", "data.json": "{}"}
    for name in sorted(files, reverse=backwards):
        path = root / "mlops_scoring" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name])
    return root / "mlops_scoring"


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = package(tmp_path / "first")
    second = package(tmp_path / "second", backwards=True)
    os.utime(second / "__init__.py", (1, 1))
    (second / "__pycache__").mkdir()
    (second / "__pycache__" / "x.pyc").write_bytes(b"bytecode")
    assert assemble(first, "1.0") == assemble(second, "1.0")


def test_another_file_or_version_gives_another_digest(tmp_path: Path) -> None:
    folder = package(tmp_path)
    before = assemble(folder, "1.0")
    assert assemble(folder, "1.1").sha256 != before.sha256
    (folder / "__init__.py").write_text("VERSION = 2\n")
    assert assemble(folder, "1.0").sha256 != before.sha256


def test_it_holds_the_installed_package(tmp_path: Path) -> None:
    wheel = scoring_wheel()
    (tmp_path / wheel.name).write_bytes(wheel.content)
    with zipfile.ZipFile(tmp_path / wheel.name) as archive:
        source = Path(str(mlops_scoring.__file__)).read_bytes()
        assert archive.read("mlops_scoring/__init__.py") == source
        assert archive.testzip() is None


def test_an_installer_takes_it(tmp_path: Path) -> None:
    wheel = assemble(package(tmp_path), "1.0")
    (tmp_path / wheel.name).write_bytes(wheel.content)
    target = tmp_path / "target"
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--offline", "--no-deps", "--target", str(target)]
    subprocess.run([*command, str(tmp_path / wheel.name)], check=True, capture_output=True)
    assert (target / "mlops_scoring" / "gateway" / "__init__.py").is_file()
    assert (target / "mlops_scoring-1.0.dist-info" / "METADATA").is_file()


def test_finding_it_does_not_import_it() -> None:
    program = (
        "import sys; from mlops.drivers.local.wheel import scoring_wheel; scoring_wheel(); "
        "sys.exit('mlops_scoring' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
