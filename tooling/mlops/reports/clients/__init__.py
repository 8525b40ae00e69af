"""Programs that call an endpoint, ready to run: the real address, a request of the model's, and no secret.

What opens the endpoint is read from an environment variable when the program runs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from mlops.reports.clients.call import Call
from mlops.reports.clients.csharp import render_csharp
from mlops.reports.clients.curl import render_curl
from mlops.reports.clients.python import render_python

__all__ = ["Call", "Language", "render_client"]


class Language(StrEnum):
    """What a program is written in."""

    CURL = "curl"
    PYTHON = "python"
    CSHARP = "csharp"


def render_client(language: Language, call: Call) -> str:
    """A whole program that makes the call and prints the answer."""
    match language:
        case Language.CURL:
            return render_curl(call)
        case Language.PYTHON:
            return render_python(call)
        case Language.CSHARP:
            return render_csharp(call)
        case _:
            assert_never(language)
