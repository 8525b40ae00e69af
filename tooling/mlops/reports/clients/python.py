"""A call with Python's standard library."""

from __future__ import annotations

from mlops.reports.clients.call import KEY, Call


def render_python(call: Call) -> str:
    """A program for Python 3.9 and later."""
    imports = "import os\nimport urllib.request\n" if call.guarded else "import urllib.request\n"
    key = ""
    authorization = ""
    if call.guarded:
        key = f'\nkey = os.environ["{KEY}"]  # {call.obtain}\n'
        authorization = '"Authorization": f"Bearer {key}", '
    return f"""{imports}{key}
body = {_literal(call.body)}
request = urllib.request.Request(
    {call.uri!r},
    data=body.encode(),
    headers={{{authorization}"Content-Type": "application/json"}},
)
with urllib.request.urlopen(request, timeout=60) as response:
    print(response.read().decode())
"""


def _literal(text: str) -> str:
    """A text as a literal, one line for each of its lines."""
    pieces = text.splitlines(keepends=True)
    if len(pieces) < 2:
        return ascii(text)
    return "(\n" + "".join(f"    {piece!a}\n" for piece in pieces) + ")"
