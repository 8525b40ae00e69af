"""Requirements in one spelling, and locks that know what they were made from."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import requires

import pytest

from mlops import lockfile
from mlops.drivers.local.environments import GATEWAY_LOCK
from mlops.errors import InvalidRepository, Location
from mlops.lockfile import LockInput
from mlops.pipeline.lock_gateway import gateway_input


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("numpy", "numpy"),
        ("Scikit_Learn == 1.9.1", "scikit-learn==1.9.1"),
        ("zope.interface>=5,<7", "zope-interface<7,>=5"),
        ("uvicorn[standard, WatchFiles] ~= 0.35", "uvicorn[standard,watchfiles]~=0.35"),
        ("uvloop>=0.21 ;sys_platform != 'win32'", 'uvloop>=0.21 ; sys_platform != "win32"'),
        ("torch (>=2,!=2.1.*)", "torch!=2.1.*,>=2"),
        ("package @ https://example.com/package-1.0.tar.gz", "package @ https://example.com/package-1.0.tar.gz"),
        ("six===1.0+local", "six===1.0+local"),
    ],
)
def test_one_requirement_has_one_spelling(written: str, normal: str) -> None:
    assert lockfile.normalise_requirement(written) == normal
    assert lockfile.normalise_requirement(normal) == normal


@pytest.mark.parametrize(
    "line",
    [
        *("", "-r other.txt", "--index-url https://example.com", "-e .", "./package", "/abs/package.whl", "numpy>="),
        *("a b", "numpy=1.26", "package @ file:///tmp/x", "package @ ../x", "numpy>1 <2", "git+https://example.com/x"),
        *("-", "[x]"),
    ],
)
def test_what_is_no_requirement_is_none(line: str) -> None:
    assert lockfile.normalise_requirement(line) is None


def test_a_file_is_read_as_pip_reads_it() -> None:
    text = "# comment\n\nnumpy>=1 # why\n  onnxruntime \\\n  ==1.31.1\nNumPy>=1\n"
    assert lockfile.read_requirements(text) == ("numpy>=1", "onnxruntime==1.31.1")


def test_every_line_that_cannot_be_used_is_named_with_its_place() -> None:
    text = "numpy\n-r other.txt\n\n--index-url https://example.com/simple\n./local\nnumpy=1\n"
    with pytest.raises(InvalidRepository) as raised:
        lockfile.read_requirements(text, Location("requirements.txt"))
    assert [str(d.where) for d in raised.value.diagnostics] == [f"requirements.txt:{n}" for n in (2, 4, 5, 6)]
    assert all(d.todo for d in raised.value.diagnostics)


SOURCE = LockInput(("numpy", "onnxruntime"), "3.11", ("linux-x86_64", "macos-arm64"), ("uvicorn<1,>=0.35",))


@pytest.mark.parametrize(
    "other",
    [
        replace(SOURCE, requirements=("numpy",)),
        replace(SOURCE, python=None),
        replace(SOURCE, platforms=("linux-x86_64",)),
        replace(SOURCE, server=()),
    ],
)
def test_a_lock_is_out_of_date_when_any_input_changed(other: LockInput) -> None:
    lock = lockfile.lock_header("onnx:1", SOURCE) + "numpy==2.4.6 \\\n    --hash=sha256:00\n"
    assert lockfile.lock_is_current(lock, SOURCE)
    assert not lockfile.lock_is_current(lock, other)


def test_order_and_repetition_do_not_count() -> None:
    shuffled = replace(SOURCE, requirements=("onnxruntime", "numpy", "numpy"), platforms=SOURCE.platforms[::-1])
    assert shuffled.sha256 == SOURCE.sha256


def test_a_lock_that_says_nothing_is_out_of_date() -> None:
    assert lockfile.recorded_input("numpy==1\n") is None
    assert not lockfile.lock_is_current("", SOURCE)
    buried = "numpy==1\n" * 20 + lockfile.lock_header("onnx:1", SOURCE)
    assert not lockfile.lock_is_current(buried, SOURCE)


def test_the_servers_requirements_are_those_of_its_metadata() -> None:
    names = {re.split(r"[<>=\[; ]", text)[0] for text in requires("mlops-scoring") or () if "worker" in text}
    assert {re.split(r"[<>=\[; ]", text)[0] for text in lockfile.server_requirements()} == names
    assert names
    assert all("extra" not in text for text in lockfile.server_requirements())


def test_the_gateways_lock_is_current() -> None:
    assert lockfile.lock_is_current(GATEWAY_LOCK.read_text(), gateway_input()), "python -m mlops.pipeline.lock_gateway"


def test_the_gateways_lock_names_no_host() -> None:
    assert "://" not in GATEWAY_LOCK.read_text()
