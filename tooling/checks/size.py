"""Fail where a module or a function has outgrown what a reader can hold: 400 lines, and 40.

A function's length is counted from `def` to its last line, without its docstring.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 40
EVERYWHERE = ("tooling/", "training/", "bench/", "endpoints/")
"""Functions are counted in these; in tests, where a story may be longer, only modules are."""


def tracked_modules() -> list[str]:
    """Every Python file that Git tracks or would track, tests included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return sorted({name for name in names if name and Path(name).is_file()})


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without decorators and docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def problems(name: str, text: str) -> Iterator[str]:
    """What is too long in one module, one line each."""
    lines = text.count("\n")
    if lines > MODULE_LINES:
        yield f"{name}: {lines} lines, at most {MODULE_LINES}; divide it by idea"
    if not name.startswith(EVERYWHERE):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > FUNCTION_LINES:
            yield f"{name}:{node.lineno}: {node.name} has {function_lines(node)} lines, at most {FUNCTION_LINES}"


def main() -> int:
    """Print every problem; 1 where there is one."""
    found = [line for name in tracked_modules() for line in problems(name, Path(name).read_text(encoding="utf-8"))]
    sys.stderr.write("".join(f"error: {line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
