"""A call with .NET's HttpClient."""

from __future__ import annotations

from mlops.reports.clients.call import KEY, Call

_USING = ("System", "System.Net.Http", "System.Net.Http.Headers", "System.Text")


def render_csharp(call: Call) -> str:
    """A program of top-level statements, for C# 9 and later."""
    using = "".join(f"using {name};\n" for name in _USING if call.guarded or not name.endswith("Headers"))
    authorization = ""
    if call.guarded:
        authorization = f"""\
var key = Environment.GetEnvironmentVariable("{KEY}")
    ?? throw new InvalidOperationException({_verbatim(f"Set {KEY}: {call.obtain}")});
client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
"""
    return f"""{using}
using var client = new HttpClient();
{authorization}var body = {_verbatim(call.body)};
using var content = new StringContent(body, Encoding.UTF8, "application/json");
using var response = await client.PostAsync({_verbatim(call.uri)}, content);
Console.WriteLine(await response.Content.ReadAsStringAsync());
response.EnsureSuccessStatusCode();
"""


def _verbatim(text: str) -> str:
    """A verbatim string literal, in which only the quote is written otherwise (C# specification, section 6.4.5.6)."""
    return '@"' + text.replace('"', '""') + '"'
