"""A call with curl, for a POSIX shell."""

from __future__ import annotations

from mlops.reports.clients.call import KEY, Call


def render_curl(call: Call) -> str:
    """A shell command."""
    lines = [
        f"curl --fail-with-body --silent --show-error {_quoted(call.uri)}",
        f"--header {_quoted('Content-Type: application/json')}",
    ]
    if call.guarded:
        lines.append(f'--header "Authorization: Bearer ${{{KEY}:?{_hint(call)}}}"')
    lines.append(f"--data-raw {_quoted(call.body)}")
    return " \\\n  ".join(lines) + "\n"


def _hint(call: Call) -> str:
    return f"get it with {call.obtain}"


def _quoted(text: str) -> str:
    """A word that the shell takes as it is (POSIX.1-2024, section 2.2.2)."""
    return "'" + text.replace("'", "'\\''") + "'"
