"""Pickles: every malicious one is refused without being run, the benign ones load, the unknown is not called clean."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.scoring.environments import run_in
from tests.scoring.hostile.corpus import MALICIOUS, RUNS, RUNS_WITH_NUMPY
from tests.scoring.hostile.making import OLD, SHELL, archive, call, npy, tape

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
    """Loaded carelessly they do run code; otherwise the table would prove nothing."""
    for name in RUNS:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "f").write_bytes(MALICIOUS[name])
        program = "import pickle, sys\nwith open('f', 'rb') as f:\n    pickle.load(f); pickle.load(f)"
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=False, capture_output=True)
        assert (folder / "hacked").exists(), name


CARELESS = """
import contextlib, gzip, json, os, pickle, sys
from pathlib import Path
import joblib
ways = {
    "joblib": joblib.load,
    "pickle": lambda path: pickle.load(open(path, "rb")),
    "gzip": lambda path: pickle.load(gzip.open(path)),
}
failed = []
for name, way in json.loads(sys.argv[1]).items():
    child = os.fork()
    if not child:  # some of them crash
        with contextlib.suppress(BaseException):
            ways[way](name)
        os._exit(0)
    os.waitpid(child, 0)
    if Path("hacked").exists():
        Path("hacked").unlink()
    else:
        failed.append(name)
print(json.dumps(failed))
"""


def test_the_malicious_files_for_joblib_and_numpy_are_malicious(
    models_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for those that need more than the standard library."""
    monkeypatch.chdir(tmp_path)
    for name in RUNS_WITH_NUMPY:
        (tmp_path / name).write_bytes(MALICIOUS[name])
    assert run_in(models_python, CARELESS, json.dumps(RUNS_WITH_NUMPY)) == []


ARRAYS = """
import io, json, lzma, pickle, sys
from pathlib import Path
import joblib, numpy
from mlops_scoring import pickles
from mlops_scoring.configuration import PicklePolicy
folder = Path(sys.argv[1])
kinds = ["?", "i1", ">i2", "<u8", "f2", "f8", "c16", "S5", "U3", "V7", "M8[ns]", "m8[D]"]
record = numpy.dtype([("a", "<f8"), ("b", "U4"), ("c", "i2", (2, 3))])
found = [numpy.zeros((3, 2), kind) for kind in kinds]
found += [numpy.zeros(4, numpy.dtype([("a", "<f8"), ("b", "U4")])), numpy.asfortranarray(numpy.zeros((200, 300)))]
found += [numpy.array(["a", None, {"b": 1}], object), numpy.zeros(()), numpy.zeros((0, 3)), numpy.float64(1)]
value = {str(place): array for place, array in enumerate(found)}
value |= {"big": 1 << 5000, "text": "x" * (3 << 20), "bytes": b"y" * (3 << 20), "many": list(range(100_000))}
files = {f"p{n}.pkl": pickle.dumps(value, n) for n in range(6)}
for n in range(2, 6):
    joblib.dump(value, folder / f"j{n}.joblib", protocol=n)
for way in ("zlib", "gzip", "bz2", "xz", "lzma"):
    joblib.dump(value, folder / f"{way}.joblib", compress=(way, 3))
files["several.pkl"] = pickle.dumps(value, 5) + pickle.dumps([1], 2)
files["two.xz.pkl"] = lzma.compress(files["p5.pkl"][:1000]) + lzma.compress(files["p5.pkl"][1000:])
for name, content in files.items():
    (folder / name).write_bytes(content)
data = [array for array in found if not array.dtype.hasobject]
numpy.savez(folder / "a.npz", *data, numpy.zeros(3, record))
numpy.savez_compressed(folder / "b.npz", *data)
numpy.save(folder / "a.npy", numpy.zeros(3, record))
with (folder / "two.npy").open("wb") as file:
    numpy.save(file, found[0])
    numpy.save(file, found[5])
def plain(one):
    return repr(getattr(one, "tolist", lambda: one)())
problems = []
policy = PicklePolicy(("joblib", "pickle"))
for path in sorted(folder.iterdir()):
    problems += [f"{path.name}: {problem}" for problem in pickles.scan(path, policy)]
    if path.suffix in {".pkl", ".joblib"}:
        loaded = pickles.load(path, policy)
        problems += [f"{path.name}: {key}" for key in value if plain(loaded[key]) != plain(value[key])]
print(json.dumps(problems))
"""


def test_arrays_of_all_kinds_load(models_python: Path, tmp_path: Path) -> None:
    """By every protocol and compression, as NumPy's own files, and beside long texts and numbers."""
    assert run_in(models_python, ARRAYS, str(tmp_path)) == []


WORDS = [
    "cat\ncow\ncrab\ncrow\ncamel\nchicken\nsheep\n",
    "cat\ndog\nRabbit\n",
    "Pigeon\nPuffin\nRaven\nRobin\n",
    "cat\ncow\nbear\n",
    "(c) 2020 Somebody\nAll rights reserved\nof course\n",
    "cod\neel\nNarwhal\nant\n",
    "Ice\nFox\nLion\n",
    "PKG-INFO\n",
]


@pytest.mark.parametrize("words", WORDS)
def test_words_are_no_pickle(tmp_path: Path, words: str) -> None:
    """They may look like imports."""
    (tmp_path / "words.txt").write_text(words, encoding="utf-8")
    assert not pickles.may_hold_pickle(tmp_path / "words.txt")
    (tmp_path / "words.tar").write_bytes(tape({words.partition("\n")[0]: words.encode()}))
    assert pickles.scan(tmp_path / "words.tar", NOTHING) == []


def test_archives_without_pickles_pass(tmp_path: Path) -> None:
    fine = {
        "a.npz": archive({"a.npy": npy("'<f8'", bytes(8)), "b.npy": npy("[('x', '<f4'), ('y', '|S3')]", bytes(7))}),
        "words.zip": archive({"words.txt": b"cat\ndog\n", "weights/0": b"\x80\x03" + bytes(64)}),
        "a.npy": npy("'<M8[ns]'", bytes(8)),
        "words.tar": tape({"words.txt": b"cat\ndog\n"}),
        "words.dat": gzip.compress(b"words" + archive({"words.txt": b"cat\n"})),
        "large.txt": gzip.compress(b"a,b\n1,2\n" * 100_000),
    }
    for name, content in fine.items():
        (tmp_path / name).write_bytes(content)
        assert pickles.scan(tmp_path / name, NOTHING) == [], name


def test_an_archive_is_none_other_because_of_what_its_members_hold(tmp_path: Path) -> None:
    """PyTorch stores pickles as they are: lines in the middle of one may look like the beginning of another."""
    name = b"cfractions\nFraction\n"
    path = tmp_path / "model.pt"
    path.write_bytes(archive({"a/data.pkl": b"\x80\x02" + name + b"0" + name + b"X\1\0\0\0" + b"1\x85R."}))
    assert pickles.scan(path, PicklePolicy(("pickle",))) == []


@pytest.mark.parametrize(
    ("name", "content", "clean"),
    [
        ("model.onnx", b"\x08\x07\x12\x04skl2", True),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", True),
        ("config.json", b"{}", True),
        ("words.txt", b"cat\n", True),
        ("words.txt", b"cat\ndog\n", True),
        ("labels.txt", b"class_a\nclass_b\nclass_c\n.", True),
        ("model.safetensors", b"\x95\0\0\0\0\0\0\0{}" + bytes(200), True),
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
WHOLE = [SHELL[:-1], pickle.dumps({"a": {1}, "b": OrderedDict(c=2.5)})[:-1], OLD.rstrip(b".")]


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


class Canary(pickle.Unpickler):
    """The real machine, whose every name is a function that says so when it is called."""

    called = False

    def find_class(self, module_name: str, global_name: str, /) -> object:
        if not all(part.isidentifier() for part in f"{module_name}.{global_name}".split(".")):
            raise ImportError(module_name)
        return self._sing

    def _sing(self, *arguments: object) -> None:
        del arguments
        self.called = True


# Without what takes gigabytes in the real machine.
UNMARKED = [piece for piece in PIECES if piece not in {pickle.PUT, pickle.LONG_BINPUT, pickle.BYTEARRAY8}]
ODD = [
    OLD,
    OLD.rstrip(b"."),
    b"I010\n",
    b"I1\0x\n",
    b"S'\xe9'\n",
    b"p 1 \n",
    b"g1\0\n",
    b"\x95\x02" + bytes(7),
    b"N0",
    b"N.",
]


BYTES = [bytes([number]) for number in range(256) if bytes([number]) not in {pickle.PUT, pickle.LONG_BINPUT}]


@example([b"I010\n", b"0", OLD])
@example([b"N.", OLD])
@given(st.lists(st.sampled_from(UNMARKED + ODD) | st.sampled_from(BYTES), max_size=8))
def test_what_is_not_looked_into_calls_nothing_in_the_real_machine(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """A file that no pickle is suspected in: Python's own unpickler agrees, however the file is opened."""
    path = tmp_path_factory.getbasetemp() / "any.dat"
    path.write_bytes(b"".join([*pieces, b"."]))
    if not pickles.may_hold_pickle(path):
        for opened in (path.open("rb"), io.BytesIO(path.read_bytes())):
            with opened:
                machine = Canary(opened, encoding="latin1")
                with contextlib.suppress(Exception):
                    while True:
                        machine.load()
                assert not machine.called


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


def test_no_estimator_of_scikit_learn_is_refused_once_its_names_are_listed(models_python: Path, tmp_path: Path) -> None:
    """All that can be fitted to a table, saved three ways: a policy that people switch off protects nobody."""
    program = Path(__file__).with_name("hostile") / "estimators.py"
    problems, fine = run_in(models_python, program.read_text(encoding="utf-8"), str(tmp_path))
    assert problems == []
    assert fine > 300
