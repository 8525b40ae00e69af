"""Streams that make a scanner lose its place, or end its walk before the real machine ends."""

from __future__ import annotations

import pickle
import struct

from tests.scoring.hostile.making import (
    COMMAND,
    NDARRAY,
    OLD,
    PLAIN,
    WRAPPER,
    array,
    dtype,
    padded,
    passed_over,
    state,
    wrapper,
)

_NEXT = b"0" + OLD[:-1]
_EMPTY = b"(I0\nt"
_LONG = pickle.LONG4 + struct.pack("<i", (1 << 20) + 1) + b"\x09" + bytes(1 << 20)
_FRAMED = pickle.FRAME + struct.pack("<Q", 2 << 20) + _NEXT
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(" + NDARRAY + _EMPTY + b"C\x01btR"
_LATER = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94h\x00h\x01\x93(V" + COMMAND.encode() + b"\ntR."
_INNER = PLAIN + state(b"(I%d\nt" % len(_NEXT), dtype("u1")) + _NEXT + b"."

PLACES: dict[str, bytes] = {
    "padding-by-arguments.joblib": b"\x80\x04"
    + WRAPPER
    + b"("
    + NDARRAY
    + _EMPTY
    + b"VC\n"
    + dtype("u1")
    + b"tR"
    + state(_EMPTY, dtype("u1"))
    + padded(_NEXT)
    + b"0.",
    "padding-by-first-state.joblib": b"\x80\x04"
    + PLAIN
    + b"q\x00"
    + state(_EMPTY, dtype("u1"), b"Vnumpy_array_alignment_bytes\nI16\n")
    + b"\x000h\x00"
    + state(_EMPTY, dtype("u1"))
    + padded(_NEXT)
    + b"0.",
    "padding-by-method.joblib": b"\x80\x04"
    + PLAIN
    + state(b"(I%d\nt" % len(_NEXT), dtype("u1"), b"Vread\ncbuiltins\nslice\n")
    + _NEXT
    + b".",
    "size-of-long-number.joblib": b"\x80\x04"
    + PLAIN
    + state(b"(" + _LONG + b"t", dtype("u1"))
    + passed_over(_NEXT)
    + b"0.",
    "size-of-large-type.joblib": b"\x80\x04" + PLAIN + state(_EMPTY, dtype("S4294967305")) + passed_over(_NEXT) + b"0.",
    "size-of-type-without-init.joblib": b"\x80\x04"
    + PLAIN
    + state(b"(I1\nt", b"cnumpy\ndtype\n(VS9\nt\x81")
    + passed_over(_NEXT)
    + b"0.",
    "rebuilt-wrapper.joblib": b"\x80\x04ccopyreg\n_reconstructor\n("
    + WRAPPER
    + b"cbuiltins\nobject\nNtR"
    + state(b"(I9\nt", dtype("u1"))
    + passed_over(_NEXT)
    + b"0.",
    "wrapper-in-objects.joblib": wrapper(
        b"\x80\x04" + _ARRAY + b".0" + PLAIN + state(b"(I1\nt", dtype("O8")) + _INNER, (1,), "O8"
    ),
    "behind-ndarray.joblib": wrapper(
        b"0" + NDARRAY + b"(" + _EMPTY + b"tR" + _NEXT, (len(b"0" + NDARRAY + b"(" + _EMPTY + b"tR" + _NEXT),)
    ),
    "behind-ndarray.dat": b"cnumpy\nndarray\n((I0\nttR" + _NEXT + b".",
    "in-large-frame.joblib": wrapper(_FRAMED + bytes((2 << 20) - len(_NEXT)), ((2 << 20) + 9,)),
    "behind-stop-in-frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", 2 + len(OLD)) + b"N." + OLD + pickle.dumps(1),
    "array-in-frame.joblib": b"\x80\x04\x95"
    + struct.pack("<Q", len(PLAIN + state(b"(I9\nt", dtype("u1"))) + 1)
    + PLAIN
    + state(b"(I9\nt", dtype("u1"))
    + b"N"
    + passed_over(_NEXT)
    + b"N.",
    "rebuilt-type.pkl": array(
        b"ccopyreg\n_reconstructor\n(cnumpy\ndtype\ng0\nVO8\ntR(I3\nV|\nNNNI-1\nI-1\nI0\ntb".replace(
            b"g0\n", b"cnumpy\ndtype\n"
        ),
        b"A" * 8,
    ),
    "bytes-without-init.pkl": b"\x80\x02c__builtin__\nbytes\nI99999999999\n\x85\x81.",
    "frame-too-short.dat": b"N0\x95" + struct.pack("<Q", 1) + OLD,
    "frame-in-frame.dat": b"N0\x95" + struct.pack("<Q", 12) + b"N0\x95" + struct.pack("<Q", 1) + OLD,
    "frame-over-end.dat": b"N0\x95" + struct.pack("<Q", 4) + b"N0Vacos\nsystem\n(V" + COMMAND.encode() + b"\ntR.",
    "frame-after-stop.dat": b"N0\x95" + struct.pack("<Q", 8) + b"N.V12345" + OLD,
    "octal.dat": b"I010\n0" + OLD,
    "number-with-zero.onnx": b"I1\0x\n0" + OLD,
    "text-in-latin.dat": b"S'\xe9'\n0" + OLD,
    "dotted-unmarked.onnx": b"N0\x80\x04cshutil\nos.system\n(V" + COMMAND.encode() + b"\ntR.",
    "class-changed-first.onnx": b"ccollections\nUserDict\n(N}tb0" + OLD,
    "path-changed.onnx": b"csys\npath\nV/tmp\na.",
    "second-unmarked.dat": b"I1\n." + OLD,
    "memo-of-the-first.pkl": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94." + _LATER,
    "memo-of-the-first.dat": b"\x8c\x02os\x94\x8c\x06system\x94." + _LATER[2:],
    "buffer-first.dat": b"\x970" + OLD,
}
"""Where the place in the stream could be thought to be another than it is, or the walk to end before it does."""
