"""Malicious and damaged model files, made by code: what public bypass reports describe, and what one may add to it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import struct
import zlib

from tests.scoring.hostile.making import (
    COMMAND,
    OLD,
    SHELL,
    archive,
    array,
    call,
    dtype,
    npy,
    old_call,
    tape,
    tar_head,
    two_directories,
    two_large_directories,
    wrapper,
)
from tests.scoring.hostile.places import PLACES

_REPORTED: dict[str, bytes] = {
    "os.system.pkl": SHELL,
    "os.system.joblib": SHELL,
    "b1-numpy-builtins.pkl": call("numpy", "__builtins__", COMMAND),
    "b2-spawnv.pkl": call("multiprocessing.util", "spawnv_passfds", b"/bin/sh", ["sh", "-c", COMMAND], []),
    "b3-read_csv.pkl": call("pandas.io.parsers.readers", "read_csv", "http://127.0.0.1/secret"),
    "b3-read_csv-short.pkl": call("pandas", "read_csv", "http://127.0.0.1/secret"),
    "b4-import_module.pkl": call("importlib", "import_module", "antigravity"),
    "zlib.joblib": zlib.compress(SHELL),
}
"""The seven that scanners were measured with, and one spelling more."""

_NAMES: dict[str, bytes] = {
    "posix.system.pkl": call("posix", "system", COMMAND),
    "dotted.pkl": call("numpy", "core.os.system", COMMAND),
    "dotted-class.pkl": call("collections", "OrderedDict.fromkeys", [1]),
    "class-method.pkl": call("builtins", "bytes.fromhex", "00"),
    "empty-module.pkl": call("", "system", COMMAND),
    "getattr.pkl": call("builtins", "getattr", "a", "b"),
    "eval.pkl": call("builtins", "eval", "1+1"),
    "py2-eval.pkl": old_call("__builtin__", "eval", "1+1"),
    "exec.pkl": call("builtins", "exec", "1"),
    "runpy.pkl": call("runpy", "_run_code", "1", {}),
    "cprofile.pkl": call("cProfile", "runctx", "1", {}, {}),
    "pdb.pkl": call("pdb", "run", "1"),
    "doctest.pkl": call("doctest", "debug_script", "1"),
    "timeit.pkl": call("timeit", "timeit", "1"),
    "code.pkl": call("code", "InteractiveInterpreter"),
    "ctypes.pkl": call("ctypes", "CDLL", "libc.so.6"),
    "asyncio.pkl": call("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    "pip.pkl": call("pip._internal.cli.main", "main", ["install", "x"]),
    "venv.pkl": call("ensurepip", "_run_pip", ["install", "x"]),
    "pydoc.pkl": call("pydoc", "pipepager", "a", COMMAND),
    "lib2to3.pkl": call("lib2to3.pgen2.grammar", "Grammar.loads", SHELL),
    "sqlite.pkl": call("sqlite3", "connect", "hacked"),
    "open.pkl": call("io", "open", "hacked", "w"),
    "shutil.pkl": call("shutil", "rmtree", "nothing"),
    "socket.pkl": call("socket", "create_connection", ["127.0.0.1", 9]),
    "pickle-loads.pkl": call("_pickle", "loads", SHELL),
    "joblib-load.pkl": call("joblib.numpy_pickle", "load", "other.pkl"),
    "torch-load.pkl": call("torch.serialization", "load", "other.pt"),
    "torch-run.pkl": call("torch.utils.bottleneck.__main__", "run_autograd_prof", "1", {}),
    "numpy-load.pkl": call("numpy", "load", "other.npy"),
    "numpy-runstring.pkl": call("numpy.testing._private.utils", "runstring", "1", {}),
    "numpy-f2py.pkl": call("numpy.f2py.crackfortran", "myeval", "1"),
    "cloudpickle.pkl": call("cloudpickle.cloudpickle", "_make_function"),
    "dill.pkl": call("dill._dill", "_create_function"),
    "methodcaller.pkl": call("operator", "methodcaller", "system"),
    "attrgetter.pkl": call("operator", "attrgetter", "system"),
    "partial.pkl": call("functools", "partial", "x"),
    "mark-as-main.pkl": call("__main__", "anything"),
    "codec.pkl": call("_codecs", "encode", b"x", "zlib_codec"),
}
"""Names that lead to code, as those who get round lists of bad ones found them."""

_OPCODES: dict[str, bytes] = {
    **{f"protocol-{n}.pkl": b"\x80" + bytes([n]) + OLD for n in range(6)},
    "protocol-0.pkl": OLD,
    "protocol-0.joblib": OLD,
    "protocol-6.pkl": b"\x80\x06" + OLD,
    "inst.pkl": b"(V" + COMMAND.encode() + b"\nios\nsystem\n.",
    "obj.pkl": b"(cos\nsystem\nV" + COMMAND.encode() + b"\no.",
    "newobj.pkl": b"\x80\x02csubprocess\nPopen\n(V" + COMMAND.encode() + b"\nt\x81.",
    "newobj-ex.pkl": b"\x80\x04csubprocess\nPopen\n(V" + COMMAND.encode() + b"\nt}\x92.",
    "names-from-memo.pkl": b"\x80\x04Vos\nq\x00Vsystem\nq\x010h\x00h\x01\x93(V" + COMMAND.encode() + b"\ntR.",
    "names-from-calls.pkl": b"\x80\x04c_codecs\nencode\n(Vos\nVlatin1\ntRVsystem\n\x93.",
    "build-class.pkl": b"ccollections\nOrderedDict\n}(V__setstate__\ncos\nsystem\nub.",
    "build-on-a-class.pkl": b"ccollections\nOrderedDict\n(NV}tb.",
    "build-slots.pkl": b"ccollections\nOrderedDict\n)\x81(N}(V__reduce_ex__\ncos\nsystem\nutb.",
    "extension.pkl": b"\x80\x02\x82\x01.",
    "extension-4.pkl": b"\x80\x02\x84\x01\x00\x00\x00.",
    "persistent.pkl": b"\x80\x02Vx\nQ.",
    "persistent-0.pkl": b"Px\n.",
    "buffers.pkl": b"\x80\x05\x97.",
    "truncated.pkl": SHELL[:-1],
    "second.pkl": pickle.dumps([1]) + SHELL,
    "second-old.pkl": pickle.dumps([1], 0) + OLD,
    "nested.pkl": pickle.dumps({"more": 1})[:-1] + b"0" + call("pickle", "loads", SHELL)[2:],
    "trailing.pkl": pickle.dumps([1]) + b"more",
    "runs-then-breaks.pkl": OLD[:-1] + b"\xff\xff",
    "empty.pkl": b"",
    "text.pkl": b"no pickle at all",
    "huge-bytearray.pkl": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "huge-bytes.pkl": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "huge-frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "large-frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", (2 << 20) + len(OLD)) + b"N0" * (1 << 20) + OLD,
    "behind-long-text.pkl": b"\x80\x04X" + struct.pack("<I", 3 << 20) + b"a" * (3 << 20) + b"0" + OLD,
    "much-memory.pkl": old_call("builtins", "bytearray", "x").replace(b"Vx\n", b"I999999999999\n"),
}
"""Every way in which the machine makes a call, and streams that are not in order."""

_ARRAYS: dict[str, bytes] = {
    "hidden-in-array.joblib": wrapper(SHELL[2:-1] + b"0", (len(SHELL) - 2,)),
    "hidden-in-array.pkl": wrapper(SHELL[2:-1] + b"0", (len(SHELL) - 2,)),
    "hidden-in-objects.joblib": wrapper(SHELL, (1,), "O8"),
    "hidden-behind-short-type.joblib": wrapper(b"B" + struct.pack("<I", len(OLD))[:3] + OLD, (1,), "f"),
    "array-without-end.joblib": wrapper(b"", (1 << 50,)),
    "array-whose-size-overflows.joblib": wrapper(OLD, (1 << 32, 1 << 32)),
    "array-of-negative-size.joblib": wrapper(SHELL, (-1,)),
    "array-of-unknown-type.joblib": wrapper(SHELL, (1,), "Z9"),
    "array-of-records.joblib": wrapper(SHELL, (1,), "V8,O"),
    "objects-called-numbers.pkl": array(dtype("O8", b"(I3\nV|\nNNNI-1\nI-1\nI0\nt"), b"A" * 8),
    "records-beyond-their-end.pkl": array(
        dtype("V8", b"(I3\nV|\nN(Va\nt}Va\n(" + dtype("u1") + b"I1000000\ntsI8\nI1\nI0\nt"), b"A" * 8
    ),
    "records-with-hidden-objects.pkl": array(
        dtype("V8", b"(I3\nV|\nN(Va\nt}Va\n(" + dtype("O8") + b"I0\ntsI8\nI1\nI0\nt"), b"A" * 8
    ),
    "names-without-fields.pkl": array(dtype("V8", b"(I3\nV|\nN(Va\nt}I8\nI1\nI0\nt"), b"A" * 8),
    "parts-larger-than-whole.pkl": array(
        dtype("V8", b"(I3\nV|\n(" + dtype("u1") + b"(I4096\ntt" + b"NNI8\nI1\nI0\nt"), b"A" * 8
    ),
    "ndarray-called.pkl": b"cnumpy\nndarray\n((I1\ntVO8\nCaaaaaaaatR.",
    "objects.npy": npy("'|O'", SHELL),
    "objects-in-words.npy": npy("'object'", SHELL),
    "objects-in-a-list.npy": npy("[('x', '<f8'), ('y', 'object')]", SHELL),
    "objects-in-commas.npy": npy("'f8,object'", SHELL),
    "subarray.npy": npy("('|O', (1,))", SHELL),
    "calls-in-header.npy": npy("__import__('os')"),
}
"""Arrays: pickles within them, and types that lie, which NumPy would believe to the point of a crash."""

_CONTAINED: dict[str, bytes] = {
    "gzip.joblib": gzip.compress(SHELL),
    "bz2.joblib": bz2.compress(SHELL),
    "xz.joblib": lzma.compress(SHELL),
    "lzma.joblib": lzma.compress(SHELL, lzma.FORMAT_ALONE),
    "zlib-old.joblib": zlib.compress(OLD),
    "zlib-twice.joblib": zlib.compress(pickle.dumps(1)) + zlib.compress(SHELL),
    "gzip-twice.joblib": gzip.compress(pickle.dumps(1)) + gzip.compress(SHELL),
    "gzip-in-gzip.joblib": gzip.compress(gzip.compress(SHELL)),
    "zlib-truncated.joblib": zlib.compress(SHELL)[:-5],
    "zlib-bomb.joblib": zlib.compress(bytes(50_000_000)),
    "lzma-small.dat": lzma.compress(OLD, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 4096}]),
    "lzma-odd.dat": lzma.compress(SHELL, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2}]),
    "gzip-damaged-later.dat": gzip.compress(OLD) + b"garbage",
    "gzip-cut.dat": gzip.compress(OLD)[:-6],
    "gzip-named.onnx": gzip.compress(OLD)[:3]
    + b"\x1c"
    + gzip.compress(OLD)[4:10]
    + b"\2\0xxn\0c\0"
    + gzip.compress(OLD)[10:],
    "bz2-damaged-later.dat": bz2.compress(OLD) + b"garbage",
    "bz2-before-zip.zip": bz2.compress(pickle.dumps(1)) + archive({"data": SHELL}),
    "xz-cut.dat": lzma.compress(SHELL)[:-6],
    "xz-then-lzma.joblib": lzma.compress(pickle.dumps(1)) + lzma.compress(SHELL, lzma.FORMAT_ALONE),
    "lz4-legacy.dat": b"\x02\x21\x4c\x18" + SHELL,
    "zstandard-skipped.dat": b"\x50\x2a\x4d\x18" + bytes(4) + b"\x28\xb5\x2f\xfd" + SHELL,
    "two-directories.pt": two_directories(
        archive({"archive/data.pkl": SHELL}), archive({"archive/data.txt": SHELL.replace(b"os", b"xx")[::-1]})
    ),
    "two-directories-large.pt": two_large_directories(archive({"a.pkl": SHELL}), archive({"other": b"x"})),
    "pickle-with-zip.zip": pickle.dumps(archive({"data": SHELL})),
    "pickle-with-tar.tar": tar_head(b"\x80\x03B" + struct.pack("<I", 512 + len(tape({"data": SHELL})) - 7))
    + tape({"data": SHELL})
    + b".",
    "zip-with-tar.zip": b"PK\x05\x06" + tar_head(b"PK\x05\x06")[4:] + tape({"data": SHELL}) + archive({}),
    "prefixed.skops": b"x" + archive({"schema.json": b'{"__class__": "system", "__module__": "os"}'}),
    "tar-continued.tar": tape({"words": b"cat"}) + tape({"data": SHELL}),
    "second-array.npy": npy("'<f8'", bytes(8)) + npy("'|O'", SHELL),
    "pickle-behind-array.npy": npy("'<f8'", bytes(8)) + SHELL,
    "lz4.joblib": b"\x04\x22\x4d\x18" + SHELL,
    "zstandard.joblib": b"\x28\xb5\x2f\xfd" + SHELL,
    "old.joblib": b"ZF0x20" + zlib.compress(SHELL),
    "side-arrays.joblib": b"\x80\x02cjoblib.numpy_pickle_compat\nNDArrayWrapper\n)\x81}Vfilename\nVx_01.npy\nsb.",
    "torch.pt": archive({"archive/data.pkl": SHELL, "archive/data/0": b"\0" * 8}),
    "torch-old.bin": archive({"archive/data.pkl": OLD}),
    "torch-odd-name.pth": archive({"archive/weights": OLD}),
    "torch-legacy.pt": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + SHELL,
    "tar.pt": tape({"pickle": OLD}),
    "array.npz": archive({"a.npy": npy("'|O'", SHELL)}),
    "array-not-numpy.npz": archive({"a.npy": OLD}),
    "zip-in-zip.zip": archive({"inner.dat": archive({"a": SHELL})}),
    "zips-too-deep.zip": archive({"1": archive({"2": archive({"3": archive({"4": archive({"5": b""})})})})}),
    "tar.gz": tape({"m.dat": SHELL}, "w:gz"),
    "pickle-in.zip": archive({"data": gzip.compress(SHELL)}),
    "damaged.zip": archive({"data": SHELL})[:-30],
    "damaged-member.zip": archive({"data": SHELL}).replace(b"hacked", b"hacker", 1),
    "bomb.skops": archive({"schema.json": b"[" * 1_000_000}),
    "pickle-beside.skops": archive({"schema.json": b"{}", "archive/data.pkl": SHELL}),
    "model.skops": archive({"schema.json": json.dumps({"__class__": "system", "__module__": "os"}).encode()}),
    "function.skops": archive({"schema.json": b'{"content": {"module_path": "os", "function": "system"}}'}),
    "known-function.skops": archive(
        {"schema.json": b'{"module_path": "numpy.testing._private.utils", "function": "runstring"}'}
    ),
    "dotted.skops": archive({"schema.json": b'{"__class__": "a.b", "__module__": "sklearn"}'}),
    "odd.skops": archive({"schema.json": b'{"__class__": 1, "__module__": "sklearn"}'}),
    "broken.skops": archive({"schema.json": b"{"}),
}
"""Pickles in something else."""

_LIES: dict[str, bytes] = {
    **{f"lie.{suffix}": SHELL for suffix in ("onnx", "skops", "txt", "json", "safetensors", "yaml", "csv", "png")},
    **{f"old-lie.{suffix}": OLD for suffix in ("onnx", "skops", "txt", "json", "safetensors", "model", "dat", "h5")},
    "old-lie": OLD,
    "MLmodel": OLD,
    "breaks.txt": OLD[:-1] + b"\nand so on\n",
    "after-nothing.txt": b"N0(0" + OLD,
    "after-text.onnx": b"X" + struct.pack("<I", 3 << 20) + b"a" * (3 << 20) + b"0" + OLD,
    "gzip-old.txt": gzip.compress(OLD),
    "gzip.dat": gzip.compress(OLD),
    "zlib.json": zlib.compress(OLD),
    "lz4.onnx": b"\x04\x22\x4d\x18" + SHELL,
    "zip.onnx": archive({"data.pkl": SHELL}),
    "zip-behind.onnx": b"\x08\x07\x12\x04skl2" + archive({"data.pkl": SHELL}),
    "zip-behind-gzip.dat": gzip.compress(b"weights" + archive({"data.pkl": SHELL})),
    "zip-behind-gzip.txt": gzip.compress(bytes(3 << 20) + archive({"data.pkl": SHELL}) + b"."),
    "zip-behind-bz2.onnx": bz2.compress(b"weights" + archive({"data.pkl": SHELL})),
    "zip-behind-xz-cut": lzma.compress(b"weights" + archive({"data.pkl": SHELL}) + bytes(3))[:-6],
    "zip-behind-bomb.dat": bz2.compress(bytes(4 << 20) + archive({"data.pkl": SHELL})),
    "zip-behind-in.tar": tape({"inner.dat": gzip.compress(b"weights" + archive({"data.pkl": SHELL}))}),
    "tar.txt": tape({"data.pkl": SHELL}),
    "tar-gz.json": tape({"data": OLD}, "w:gz"),
    "tar-head.pkl": tar_head(OLD) + bytes(1024),
    "tar-head.joblib": tar_head(OLD) + bytes(1024),
    "tar-head.dat": tar_head(OLD) + bytes(1024),
    "tar-head.tar": tar_head(OLD) + bytes(1024),
    "tar-head-gzip.dat": gzip.compress(tar_head(OLD) + bytes(1024)),
    "tar-before-zip.dat": tape({"data.pkl": SHELL}) + archive({}),
    "objects.json": npy("'|O'", SHELL),
}
"""Names that promise something else."""

MALICIOUS: dict[str, bytes] = _REPORTED | _NAMES | _OPCODES | PLACES | _ARRAYS | _CONTAINED | _LIES
"""All of them by file name."""

RUNS = (
    *("os.system.pkl", "protocol-0.pkl", "inst.pkl", "obj.pkl", "second.pkl", "runs-then-breaks.pkl", "tar-head.pkl"),
    *("behind-stop-in-frame.pkl", "frame-in-frame.dat", "octal.dat", "number-with-zero.onnx", "second-unmarked.dat"),
    *("class-changed-first.onnx", "dotted-unmarked.onnx"),
)
"""Some that run the command when they are loaded carelessly, which shows that the command is a good canary."""

RUNS_WITH_NUMPY = {
    **dict.fromkeys(("padding-by-arguments.joblib", "padding-by-first-state.joblib"), "joblib"),
    **dict.fromkeys(("padding-by-method.joblib", "size-of-long-number.joblib", "lzma-small.dat"), "joblib"),
    **dict.fromkeys(("size-of-type-without-init.joblib", "rebuilt-wrapper.joblib"), "joblib"),
    **dict.fromkeys(("wrapper-in-objects.joblib", "array-in-frame.joblib"), "joblib"),
    **dict.fromkeys(("behind-ndarray.joblib", "in-large-frame.joblib", "behind-ndarray.dat"), "pickle"),
    **dict.fromkeys(("gzip-damaged-later.dat", "gzip-cut.dat"), "gzip"),
}
"""The same where NumPy and joblib are installed, and by what."""
