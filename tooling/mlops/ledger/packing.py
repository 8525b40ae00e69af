"""Packing a ledger's loose objects, a part at a time, without touching anything else in the repository.

Records are packed in segments. A new segment swallows older ones that are not much longer than itself, as in a binary
counter, so there are few packs and every record is packed again only a few times.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.git import GitRepository
from mlops.git.command import failed
from mlops.git.refs import flush_folder
from mlops.ledger.packs import (
    PACK_NAME,
    forget_pack,
    noted_packs,
    packed_objects,
    packs_folder,
    remove_pack,
)
from mlops.ledger.tip import Tip

SEGMENT = 64
"""Fewer new records than this stay loose."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One pack of ours.

    Attributes:
        first: Number of its first record.
        last: Number of its last record.
        tip: Commit of its last record.
        pack: The pack's name.
    """

    first: int
    last: int
    tip: str
    pack: str

    @property
    def length(self) -> int:
        """How many records it holds."""
        return self.last - self.first + 1


def _read(path: Path) -> list[Segment]:
    """What was packed before; nothing where the note is lost, which only means that packing begins anew."""
    try:
        segments = [
            Segment(int(value["first"]), int(value["last"]), str(value["tip"]), str(value["pack"]))
            for value in json.loads(path.read_bytes())
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return segments if all(PACK_NAME.match(segment.pack) for segment in segments) else []


def _write(path: Path, segments: Sequence[Segment]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    values = [{"first": s.first, "last": s.last, "tip": s.tip, "pack": s.pack} for s in segments]
    temporary.write_text(json.dumps(values))
    temporary.replace(path)


def pack(git: GitRepository, stage: str, tip: Tip) -> int:
    """Pack what has come since the last time, when it is enough to be worth it.

    Args:
        git: The repository.
        stage: The stage.
        tip: The last record.

    Returns:
        How many records are in the pack that was made; 0 where there was too little to do.

    Raises:
        MlopsError: The repository cannot be written; nothing is lost.
    """
    note = packs_folder(git, stage) / "segments.json"
    segments = _read(note)
    first = segments[-1].last + 1 if segments else 1
    if tip.record.sequence - first + 1 < SEGMENT:
        return 0
    swallowed: list[Segment] = []
    while segments and segments[-1].length <= 2 * (tip.record.sequence - first + 1):
        swallowed.append(segments.pop())
        first = swallowed[-1].first
    base = segments[-1].tip if segments else None
    name = _pack(git, tip.commit, base)
    if name is None:
        return 0
    flush_folder(git.common_directory / "objects" / "pack")
    _write(note, [*segments, Segment(first, tip.record.sequence, tip.commit, name)])
    _tidy(git, stage, name, [segment.pack for segment in swallowed])
    return tip.record.sequence - first + 1


def _pack(git: GitRepository, tip: str, base: str | None) -> str | None:
    """Write one pack with all that `tip` has and `base` has not; its name."""
    arguments = ("pack-objects", "--revs", "--quiet", "--delta-base-offset", "--threads=1", "--non-empty")
    revisions = f"{tip}\n" if base is None else f"{tip}\n^{base}\n"
    target = git.common_directory / "objects" / "pack" / "pack"
    answer = git.command.run((*arguments, str(target)), revisions.encode())
    if answer.code != 0:
        raise failed(arguments, answer, git.root)
    return answer.text if PACK_NAME.match(answer.text) else None


def _tidy(git: GitRepository, stage: str, name: str, swallowed: Sequence[str]) -> None:
    """Remove what a new pack makes superfluous: loose copies, and packs of ours of which it holds every object.

    The second is checked object by object: another ledger may rely on what an append of ours left there.
    """
    held = packed_objects(git, name)
    for oid in held:
        with contextlib.suppress(FileNotFoundError):
            (git.common_directory / "objects" / oid[:2] / oid[2:]).unlink()
    for old in {*swallowed, *noted_packs(git, stage)} - {name}:
        if packed_objects(git, old) <= held:
            remove_pack(git, old)
        forget_pack(git, stage, old)
