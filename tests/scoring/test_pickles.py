"""Pickles: every malicious one is refused without being run, the benign ones load, the unknown is not called clean."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scoring.environments import run_in

from mlops_scoring import pickles
from mlops_scoring.configuration import PicklePolicy
from mlops_scoring.pickles.policy import CONTAINERS

NOTHING = PicklePolicy()
FORMATS = ("joblib", "pickle")
LOGISTIC = "sklearn.linear_model._logistic.LogisticRegression"
FOREST = (
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._tree.Tree",
)
GENEROUS = PicklePolicy(FORMATS, (LOGISTIC, *FOREST, "sklearn.linear_model._base.LinearRegression"))
"""What a repository allows that serves ordinary models: the malicious files have to fail even so."""


def call(module: str, name: str, *arguments: object) -> bytes:
    """A pickle of protocol 4 that calls a function when it is loaded."""
    text = pickle.SHORT_BINUNICODE
    parts = [pickle.PROTO, b"\x04"]
    for word in (module, name):
        parts += [text, bytes([len(word.encode())]), word.encode()]
    parts += [pickle.STACK_GLOBAL, pickle.MARK]
    for argument in arguments:
        parts.append(pickle.dumps(argument, 4)[2:-1].replace(b"\x94", b""))
    return b"".join([*parts, pickle.TUPLE, pickle.REDUCE, pickle.STOP])


def old_call(module: str, name: str, argument: str) -> bytes:
    """The same in protocol 0, which begins with no mark."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def wrapper(hidden: bytes, shape: tuple[int, ...], code: str = "u1") -> bytes:
    """A joblib array whose bytes are `hidden`; `pickle.load` would run them."""
    array = [pickle.PROTO, b"\x04", b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", pickle.EMPTY_TUPLE, pickle.NEWOBJ]
    dtype = f"cnumpy\ndtype\n(V{code}\nI00\nI01\ntR".encode()
    state = b"}(Vshape\n" + pickle.dumps(shape, 2)[2:-1] + b"Vdtype\n" + dtype + b"Vorder\nVC\nu"
    return b"".join([*array, state, pickle.BUILD, hidden, pickle.STOP])


SHELL = call("os", "system", "touch hacked")

MALICIOUS: dict[str, bytes] = {
    "os.system.pkl": SHELL,
    "posix.system.pkl": call("posix", "system", "touch hacked"),
    "os.system.joblib": SHELL,
    "protocol-0.pkl": old_call("os", "system", "touch hacked"),
    "protocol-0.joblib": old_call("os", "system", "touch hacked"),
    "inst.pkl": b"(Vtouch hacked\nios\nsystem\n.",
    "obj.pkl": b"(cos\nsystem\nVtouch hacked\no.",
    "newobj.pkl": b"\x80\x02csubprocess\nPopen\n(Vtouch hacked\nt\x81.",
    "numpy-builtins.pkl": call("numpy", "__builtins__", "touch hacked"),
    "dotted.pkl": call("numpy", "core.os.system", "touch hacked"),
    "spawnv.pkl": call("multiprocessing.util", "spawnv_passfds", b"/bin/sh", ["sh"], []),
    "read_csv.pkl": call("pandas.io.parsers.readers", "read_csv", "http://127.0.0.1/secret"),
    "import_module.pkl": call("importlib", "import_module", "antigravity"),
    "getattr.pkl": call("builtins", "getattr", "a", "b"),
    "eval.pkl": call("builtins", "eval", "1+1"),
    "py2-eval.pkl": old_call("__builtin__", "eval", "1+1"),
    "exec.pkl": call("builtins", "exec", "1"),
    "runpy.pkl": call("runpy", "_run_code", "1", {}),
    "cprofile.pkl": call("cProfile", "runctx", "1", {}, {}),
    "pickle-loads.pkl": call("_pickle", "loads", SHELL),
    "joblib-load.pkl": call("joblib.numpy_pickle", "load", "other.pkl"),
    "torch-load.pkl": call("torch.serialization", "load", "other.pt"),
    "cloudpickle.pkl": call("cloudpickle.cloudpickle", "_make_function"),
    "methodcaller.pkl": call("operator", "methodcaller", "system"),
    "extension.pkl": b"\x80\x02\x82\x01.",
    "persistent.pkl": b"\x80\x02Vx\nQ.",
    "truncated.pkl": SHELL[:-1],
    "second.pkl": pickle.dumps([1]) + SHELL,
    "trailing.pkl": pickle.dumps([1]) + b"more",
    "empty.pkl": b"",
    "text.pkl": b"no pickle at all",
    "huge-bytearray.pkl": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "huge-bytes.pkl": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "huge-frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "zlib.joblib": zlib.compress(SHELL),
    "gzip.joblib": gzip.compress(SHELL),
    "bz2.joblib": bz2.compress(SHELL),
    "xz.joblib": lzma.compress(SHELL),
    "lzma.joblib": lzma.compress(SHELL, lzma.FORMAT_ALONE),
    "zlib-truncated.joblib": zlib.compress(SHELL)[:-5],
    "zlib-bomb.joblib": zlib.compress(bytes(50_000_000)),
    "lz4.joblib": b"\x04\x22\x4d\x18" + SHELL,
    "old.joblib": b"ZF0x20" + zlib.compress(SHELL),
    "hidden-in-array.joblib": wrapper(SHELL[2:-1] + b"0", (len(SHELL) - 2,)),
    "hidden-in-array.pkl": wrapper(SHELL[2:-1] + b"0", (len(SHELL) - 2,)),
    "hidden-in-objects.joblib": wrapper(SHELL, (1,), "O8"),
    "array-without-end.joblib": wrapper(b"", (1 << 50,)),
    "array-of-negative-size.joblib": wrapper(SHELL, (-1,)),
    "array-of-unknown-type.joblib": wrapper(SHELL, (1,), "Z9"),
    "array-of-records.joblib": wrapper(SHELL, (1,), "V8,O"),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_malicious_or_damaged_file_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(MALICIOUS[name])
    assert pickles.may_hold_pickle(path)
    assert pickles.scan(path, GENEROUS) != []
    with pytest.raises(pickles.PickleRefused):
        pickles.load(path, GENEROUS)
    assert not (tmp_path / "hacked").exists()


def test_the_malicious_files_are_malicious(tmp_path: Path) -> None:
    """Loaded carelessly they do run code; otherwise the table above would prove nothing."""
    for name in ("os.system.pkl", "protocol-0.pkl", "inst.pkl", "obj.pkl", "second.pkl", "hidden-in-objects.joblib"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "f").write_bytes(MALICIOUS[name] if name != "hidden-in-objects.joblib" else SHELL)
        program = "import pickle, sys\nwith open('f', 'rb') as f:\n    pickle.load(f); pickle.load(f)"
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=False, capture_output=True)
        assert (folder / "hacked").exists(), name


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def test_archives_are_looked_into(tmp_path: Path) -> None:
    """PyTorch's files, NumPy's and skops' are archives; a pickle in one is a pickle."""
    header = (
        b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    )
    records = header.replace(b"'|O'", b"[('O', '<f8'), ('x', '|O')]")[:128]
    bad = {
        "torch.pt": {"archive/data.pkl": SHELL, "archive/data/0": b"\0" * 8},
        "array.npz": {"a.npy": header + SHELL},
        "records.npz": {"a.npy": records + SHELL},
        "model.skops": {"schema.json": json.dumps({"__class__": "system", "__module__": "os"}).encode()},
        "function.skops": {"schema.json": b'{"content": {"module_path": "os", "function": "system"}}'},
        "dotted.skops": {"schema.json": b'{"__class__": "a.b", "__module__": "sklearn"}'},
        "odd.skops": {"schema.json": b'{"__class__": 1, "__module__": "sklearn"}'},
        "broken.skops": {"schema.json": b"{"},
        "bomb.skops": {"schema.json": b"[" * 1_000_000},
    }
    for name, members in bad.items():
        path = archive(tmp_path / name, members)
        assert pickles.may_hold_pickle(path), name
        assert pickles.scan(path, GENEROUS) != [], name
    assert pickles.scan(archive(tmp_path / "fine.npz", {"a.npy": header.replace(b"|O", b"<f8")[:128]}), NOTHING) == []
    (tmp_path / "objects.npy").write_bytes(header + SHELL)
    assert pickles.scan(tmp_path / "objects.npy", GENEROUS) != []


@pytest.mark.parametrize(
    ("name", "content", "clean"),
    [
        ("model.onnx", b"\x08\x07\x12\x04skl2", True),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", True),
        ("config.json", b"{}", True),
        ("words.txt", b"cat\n", True),
        ("model.onnx", SHELL, False),
        ("weights.dat", b"\x00\x01", False),
        ("model", b"", False),
        ("words.txt.gz", gzip.compress(b"cat\n"), False),
        ("innocent.txt", pickle.dumps(1), False),
    ],
)
def test_only_what_is_known_to_hold_no_pickle_passes_without_permission(
    tmp_path: Path, name: str, content: bytes, *, clean: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert (pickles.scan(tmp_path / name, NOTHING) == []) is clean


def test_plain_containers_need_the_format_only(tmp_path: Path) -> None:
    path = tmp_path / "plain.pkl"
    value = {"a": [1, 2.5, (True, None)], "b": {1, 2}, "c": b"x", "d": bytearray(b"y"), "e": range(3), "f": 1 + 2j}
    for protocol in range(6):
        path.write_bytes(pickle.dumps(value, protocol))
        assert pickles.scan(path, NOTHING) == ["pickle_policy.formats does not list pickle"], protocol
        assert pickles.scan(path, PicklePolicy(("pickle",))) == []
        assert pickles.load(path, PicklePolicy(("pickle",))) == value


def test_a_listed_function_is_not_a_class(tmp_path: Path) -> None:
    (tmp_path / "f.pkl").write_bytes(call("os.path", "join", "a"))
    with pytest.raises(pickles.PickleRefused, match="only classes can be allowed"):
        pickles.load(tmp_path / "f.pkl", PicklePolicy(FORMATS, ("os.path.join",)))


class Recorder(pickle.Unpickler):
    """The real machine, in C, which stops at any name that is not a plain container."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        assert f"{module_name}.{global_name}" in CONTAINERS
        return super().find_class(module_name, global_name)


OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]
PIECES = [
    *OPCODES,
    b"os\nsystem\n",
    b"collections\nOrderedDict\n",
    b"\x02",
    b"\x00\x00\x00\x00",
    b"Vos\n",
    b"Vsystem\n",
]
WHOLE = [SHELL[:-1], pickle.dumps({"a": {1}, "b": OrderedDict(c=2.5)})[:-1], old_call("os", "system", "x").rstrip(b".")]


@given(st.lists(st.sampled_from(PIECES + WHOLE) | st.binary(max_size=3), max_size=12))
def test_what_passes_reaches_no_other_name_in_the_real_machine(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """Whatever the bytes: a scan gives an answer, and Python's own unpickler agrees with those that it passes."""
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(b"".join([*pieces, b"."]))
    if pickles.scan(path, PicklePolicy(("pickle",))) == []:
        with path.open("rb") as file:
            Recorder(file).load()


MODELS: list[tuple[str, tuple[str, ...]]] = [
    ("logistic/model.joblib", (LOGISTIC,)),
    ("logistic.pkl", (LOGISTIC,)),
    *((f"logistic.{kind}.joblib", (LOGISTIC,)) for kind in ("zlib", "gzip", "bz2", "xz", "lzma")),
    ("forest/model.joblib", FOREST),
    ("forest.pkl", FOREST),
    ("forest.zlib.joblib", FOREST),
    ("objects/model.joblib", (LOGISTIC,)),
    ("logistic-skops/model.skops", ()),
    ("forest-skops/model.skops", ()),
]

LOAD = """
import json, sys
from mlops_scoring import pickles
from mlops_scoring.configuration import PicklePolicy
path, classes, rows = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
formats = ("joblib", "pickle")
model = pickles.load(path, PicklePolicy(formats, tuple(classes)))
try:
    pickles.load(path, PicklePolicy(formats, tuple(classes[1:])))
    refused = False
except pickles.PickleRefused:
    refused = True
print(json.dumps([model.predict(rows).tolist(), refused]))
"""


@pytest.mark.parametrize(("name", "classes"), MODELS)
def test_a_benign_model_passes_with_exactly_its_classes(models: Path, name: str, classes: tuple[str, ...]) -> None:
    """Scanned here, where neither NumPy nor joblib nor scikit-learn is installed."""
    path = models / name
    assert pickles.needed_classes(path) == sorted(classes)
    assert pickles.scan(path, PicklePolicy(FORMATS, classes)) == []
    for left_out in classes:
        rest = tuple(found for found in classes if found != left_out)
        assert pickles.scan(path, PicklePolicy(FORMATS, rest)) == [
            f"it holds {left_out}, which pickle_policy.classes does not list"
        ]
    if classes:
        assert pickles.scan(path, PicklePolicy((), classes)) != []


@pytest.mark.parametrize("name", ["logistic/model.joblib", "forest.zlib.joblib", "forest.pkl", "objects/model.joblib"])
def test_a_benign_model_loads_and_predicts(models: Path, models_python: Path, name: str) -> None:
    expected = json.loads((models / "expected.json").read_bytes())
    classes = dict(MODELS)[name]
    rows = json.dumps(expected["rows"])
    predicted, refused = run_in(models_python, LOAD, str(models / name), json.dumps(classes), rows)
    assert predicted == expected["labels" if name.startswith("logistic") else "species"]
    assert refused


def test_a_flipped_or_cut_byte_never_makes_a_scan_pass_what_it_should_not(models: Path, tmp_path: Path) -> None:
    """Names changed by damage are other names; a file cut anywhere is refused."""
    content = (models / "logistic/model.joblib").read_bytes()
    path = tmp_path / "cut.joblib"
    policy = PicklePolicy(FORMATS, (LOGISTIC,))
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert pickles.scan(path, policy) != [], length


def test_scanning_imports_nothing_heavy(models: Path) -> None:
    program = (
        "import sys\nfrom mlops_scoring import pickles\nfrom mlops_scoring.configuration import PicklePolicy\n"
        f"pickles.scan({str(models / 'forest/model.joblib')!r}, PicklePolicy())\n"
        "print([name for name in ('numpy', 'joblib', 'sklearn', 'asyncio', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "[]"
