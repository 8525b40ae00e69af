"""Content that only the machine has on which a version was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.features.workshop import Workshop, git

from mlops.errors import Exit
from mlops.plan import Action
from mlops.resource import Address

BIG = Address.parse("model/big:1")
DATA = b"weights that are too big for Git"
SHA256 = hashlib.sha256(DATA).hexdigest()


def declare(workshop: Workshop, how: str) -> None:
    workshop.write({"models/big/1.yaml": f"{how}\nsha256: {SHA256}\nflavors: {{onnx: {{}}}}\n"})
    workshop.declare("large", "dev", "big:1")


def test_a_version_waits_for_it_and_what_serves_it_waits_too(workshop: Workshop) -> None:
    declare(workshop, f"files: {{big.onnx: {SHA256}}}")
    actions = {str(c.address): c.action for c in workshop.plan().changes}
    assert actions["model/big:1"] is Action.WAIT
    assert actions["endpoint/large@here"] is Action.WAIT
    assert actions["endpoint/fraud@here"] is Action.CREATE
    (change,) = (c for c in workshop.plan().changes if c.address == BIG)
    assert change.waits == (f"content of big.onnx, sha256 {SHA256[:12]}",)
    applied = workshop.apply()
    assert applied.exit_code is Exit.WAITING
    assert not [r for r in applied.results if r.outcome.value == "failed"]


def test_once_the_content_is_in_the_store_it_is_registered(workshop: Workshop, tmp_path: Path) -> None:
    declare(workshop, f"files: {{big.onnx: {SHA256}}}")
    (tmp_path / "big.onnx").write_bytes(DATA)
    with workshop.opened() as workspace:
        workspace.blobs.add(tmp_path / "big.onnx", SHA256)
    assert workshop.apply().exit_code is Exit.DONE
    assert workshop.plan().summary.effective == 0


def test_a_clone_that_lacks_the_content_waits_while_the_other_serves(workshop: Workshop, tmp_path: Path) -> None:
    declare(workshop, f"uri: {(tmp_path / 'big.onnx').as_uri()}")
    (tmp_path / "big.onnx").write_bytes(DATA)
    workshop.commit("Declare big")
    assert workshop.apply().exit_code is Exit.DONE
    git(tmp_path, "clone", "-q", str(workshop.root), "clone")
    clone = Workshop(tmp_path / "clone")
    (tmp_path / "big.onnx").unlink()
    assert [c.action for c in clone.plan("shared").changes if c.address == BIG] == [Action.WAIT]
    assert workshop.plan().summary.effective == 0
