"""`mlops environment lock`, with the real uv and a real package index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlops.driver import Scope
from mlops.drivers.registry import RegistryDriver
from mlops.errors import Blocked, InvalidRepository, NotFound, TargetError
from mlops.loader import read
from mlops.lockfile import recorded_input, server_requirements
from mlops.pipeline.environments import lock_environment
from mlops.pipeline.lock_making import packages
from mlops.resource import SHARED, Address, Resource, Stamp

PROJECT = "project: locking\ncomputes: {}\nstages: {dev: {}}\n"


@pytest.fixture
def environment(make_repository: Callable[[Mapping[str, str | bytes]], Path]) -> Callable[[str], Path]:
    """A function that makes a repository with the environment tiny:1."""

    def make(text: str) -> Path:
        return make_repository({"mlops.yaml": PROJECT, "environments/tiny/1.yaml": text})

    return make


def problems(root: Path) -> list[str]:
    """What is wrong with tiny:1's packages."""
    return [problem.summary for problem in read(root).repository.packages["tiny:1"].problems]


def test_a_lock_holds_hashes_and_no_address(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six]\n")
    assert problems(root) == ["Environment has no lock"]
    locked = lock_environment(root, "tiny:1")
    text = (root / locked.path).read_text()
    assert problems(root) == []
    assert "://" not in text
    assert recorded_input(text) is not None
    pinned = [line for line in text.splitlines() if "==" in line]
    assert len(pinned) == len(locked.packages)
    assert text.count("--hash=sha256:") >= len(pinned)
    assert {name.split()[0] for name in locked.packages} >= {"six", "uvloop", "httptools"}


def test_the_scoring_server_is_no_part_of_the_lock(environment: Callable[[str], Path]) -> None:
    """An edit of ours makes nobody's lock stale; what it needs is in there."""
    root = environment("requirements: []\n")
    names = {package.split()[0] for package in lock_environment(root, "tiny").packages}
    assert "mlops-scoring" not in names
    assert {requirement.split("<")[0] for requirement in server_requirements()} <= names


def test_locking_again_changes_nothing(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six]\n")
    first = lock_environment(root, "tiny:1")
    content = (root / first.path).read_bytes()
    again = lock_environment(root, "tiny:1")
    assert (first.changed, again.changed) == (True, False)
    assert again.packages == first.packages
    assert (root / first.path).read_bytes() == content


def test_an_edit_makes_the_lock_stale_and_keeps_the_other_versions(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six==1.16.0]\n")
    lock_environment(root, "tiny:1")
    (root / "environments/tiny/1.yaml").write_text("requirements: [six, iniconfig]\n")
    assert problems(root) == ["Lock is out of date"]
    locked = lock_environment(root, "tiny:1")
    assert [package.split()[0] for package in locked.added] == ["iniconfig"]
    assert locked.removed == ()
    assert "six 1.16.0" in locked.packages
    upgraded = lock_environment(root, "tiny:1", upgrade=True)
    assert "six 1.16.0" in upgraded.removed
    assert problems(root) == []


def test_a_platform_without_a_wheel_is_named_with_the_package(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [onnxruntime==1.24.1]\nplatforms: [linux-x86_64, macos-x86_64]\n")
    with pytest.raises(TargetError) as raised:
        lock_environment(root, "tiny:1")
    (problem,) = raised.value.diagnostics
    assert problem.summary == "Lock does not fit a platform"
    assert "macos-x86_64" in problem.detail
    assert "onnxruntime" in problem.detail
    assert not (root / "environments/tiny/1.lock").exists()


def test_requirements_that_contradict_each_other_are_explained(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six==1.16.0, six==1.15.0]\n")
    with pytest.raises(TargetError, match="locking tiny:1"):
        lock_environment(root, "tiny:1")


def test_conda_packages_have_ways_out(environment: Callable[[str], Path]) -> None:
    root = environment("conda_file: {dependencies: [python=3.11, cudatoolkit=11.8, pip: [six]]}\n")
    with pytest.raises(InvalidRepository, match=r"cudatoolkit=11\.8"):
        lock_environment(root, "tiny:1")


def test_a_conda_file_of_pip_packages_is_locked(environment: Callable[[str], Path]) -> None:
    root = environment("conda_file: {dependencies: [python=3.11, pip, pip: [six]]}\n")
    assert "six" in {package.split()[0] for package in lock_environment(root, "tiny:1").packages}
    assert problems(root) == []


def test_an_image_alone_is_nothing_to_lock(environment: Callable[[str], Path]) -> None:
    root = environment("image: example/image:1\n")
    with pytest.raises(InvalidRepository, match="Nothing to lock"):
        lock_environment(root, "tiny:1")


def test_a_broken_file_is_reported_as_it_is(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six]\nrequirments: [six]\n")
    with pytest.raises((InvalidRepository, NotFound)):
        lock_environment(root, "tiny:1")


def test_other_peoples_problems_do_not_stand_in_the_way(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: []\n")
    (root / "models/broken").mkdir(parents=True)
    (root / "models/broken/1.yaml").write_text("- not a model\n")
    assert lock_environment(root, "tiny:1").changed


def test_a_name_means_its_highest_version(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: []\n")
    for version in ("2", "10"):
        (root / f"environments/tiny/{version}.yaml").write_text("requirements: []\n")
    assert lock_environment(root, "tiny").reference == "tiny:10"


@pytest.mark.parametrize("reference", ["tinny:1", "tiny:2", "other"])
def test_an_environment_that_is_not_declared(environment: Callable[[str], Path], reference: str) -> None:
    with pytest.raises(NotFound) as raised:
        lock_environment(environment("requirements: []\n"), reference)
    assert "tiny:1" in raised.value.diagnostics[0].todo


def test_a_registered_version_keeps_its_lock(environment: Callable[[str], Path]) -> None:
    root = environment("requirements: [six==1.16.0]\n")
    lock_environment(root, "tiny:1")
    before = (root / "environments/tiny/1.lock").read_bytes()
    registry = RegistryDriver(Scope("locking", SHARED, "registry", root))
    address = Address.parse("environment/tiny:1")
    registry.blobs.add(root / "environments/tiny/1.lock", (digest := _sha256(before)))
    registry.put(Resource(address, "registry", {"lock": digest}), Stamp("locking", SHARED, str(address), "0" * 64))
    registry.close()
    (root / "environments/tiny/1.yaml").write_text("requirements: [six==1.15.0]\n")
    with pytest.raises(Blocked, match="registered with another lock"):
        lock_environment(root, "tiny:1")
    assert (root / "environments/tiny/1.lock").read_bytes() == before


def test_without_uv_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['uv'] = None\n"
        "from mlops.errors import TargetError; from mlops.uv import find_uv\n"
        "try:\n    find_uv()\nexcept TargetError as error:\n    print(error.diagnostics[0].command)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "pip install 'mlops-gitops[local]'\n"


def test_many_threads_find_the_same_uv() -> None:
    """In a new interpreter, in which Python's sysconfig was not asked yet: it is not safe for threads by itself."""
    program = (
        "import threading; from concurrent.futures import ThreadPoolExecutor; from mlops.uv import find_uv\n"
        "start = threading.Barrier(8)\n"
        "def find(_):\n    start.wait()\n    return find_uv()\n"
        "with ThreadPoolExecutor(8) as pool:\n    print(len(set(pool.map(find, range(8)))))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_packages_of_a_lock() -> None:
    assert packages("# six==0\nsix==1.16.0 \\\n    --hash=sha256:00\nnumpy==2.4.6 ; python_version < '3.12'\n") == (
        "six 1.16.0",
        "numpy 2.4.6",
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
