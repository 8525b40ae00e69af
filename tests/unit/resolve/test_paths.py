"""Paths in documents: within the repository, and nowhere that is ours or Git's."""

from __future__ import annotations

import pytest

from mlops.resolve.paths import folder_of, within


@pytest.mark.parametrize(
    ("folder", "text", "path"),
    [
        ("models/fraud", "1.onnx", "models/fraud/1.onnx"),
        ("models/fraud", "./1/", "models/fraud/1"),
        ("models/fraud", "../shared/1.onnx", "models/shared/1.onnx"),
        ("models/fraud", "../../data/1.onnx", "data/1.onnx"),
        ("models/fraud", "../../../1.onnx", None),
        ("models/fraud", "../../../../etc/passwd", None),
        ("models/fraud", "../..", None),
        ("models/fraud", "../../.git/config", None),
        ("models/fraud", "../../.mlops/registry/x", None),
        ("models/fraud", "a/../../../../x", None),
        (".", "schemas/x.json", "schemas/x.json"),
    ],
)
def test_where_a_path_leads(folder: str, text: str, path: str | None) -> None:
    assert within(folder, text) == path


@pytest.mark.parametrize(("file", "folder"), [("models/fraud/1.yaml", "models/fraud"), ("mlops.yaml", ".")])
def test_the_folder_of_a_file(file: str, folder: str) -> None:
    assert folder_of(file) == folder
