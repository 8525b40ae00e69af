"""Durations, CPU, memory and percentages in the spellings that the field uses.

Every function raises ValueError with a sentence that says what is accepted.
"""

from __future__ import annotations

import re

DURATION_PATTERN = r"^(?=.)(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?$"
ISO_DURATION_PATTERN = r"^P(?=.)(\d+(\.\d+)?D)?(T(?=.)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?$"
CPU_PATTERN = r"^(\d+m|\d+(\.\d+)?)$"
MEMORY_PATTERN = r"^\d+(\.\d+)?([kMGTPE]|[KMGTPE]i)?$"
PERCENT_PATTERN = r"^\d+(\.\d+)?\s?%$"

_LONGEST = 32
"""No sensible quantity is longer; characters."""

_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_DURATION = re.compile(DURATION_PATTERN, re.ASCII)
_ISO_DURATION = re.compile(ISO_DURATION_PATTERN, re.ASCII)
_CPU = re.compile(CPU_PATTERN, re.ASCII)
_MEMORY = re.compile(MEMORY_PATTERN, re.ASCII)
_PERCENT = re.compile(PERCENT_PATTERN, re.ASCII)
_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18} | {
    unit: 2 ** (10 * power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)
}


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `30s`, `10m`, `1h30m`, `2d` or of ISO 8601's `PT30S`.

    Raises:
        ValueError: It is no duration.
    """
    if match := _match(_DURATION, text):
        parts = match.group(1, 3, 5, 7, 9)
    elif match := _match(_ISO_DURATION, text):
        parts = match.group(1, 4, 6, 8)
    else:
        raise ValueError(f'"{text}" is no duration: write for example 500ms, 30s, 10m, 1h30m or PT30S.')
    return sum(float(part.rstrip("dhmsDHMS")) * seconds for part, seconds in zip(parts, _SECONDS, strict=False) if part)


def parse_cpu(value: str | float) -> float:
    """CPU cores of `500m`, `0.5` or `2`, as Kubernetes writes them.

    Raises:
        ValueError: It is no amount of CPU, or none at all.
    """
    text = str(value)
    if not _match(_CPU, text):
        raise ValueError(f'"{value}" is no amount of CPU: write for example 500m, 0.5 or 2.')
    cores = int(text[:-1]) / 1000 if text.endswith("m") else float(text)
    if cores <= 0:
        raise ValueError(f'"{value}" is no CPU at all: write for example 500m, 0.5 or 2.')
    return cores


def parse_memory(value: str | int) -> int:
    """Bytes of `256Mi`, `1Gi`, `512M` or a plain number, as Kubernetes writes them.

    Raises:
        ValueError: It is no amount of memory, or none at all.
    """
    text = str(value)
    match = _match(_MEMORY, text)
    if not match:
        raise ValueError(f'"{value}" is no amount of memory: write for example 256Mi, 1Gi or 512M.')
    unit = match.group(2) or ""
    number = text.removesuffix(unit) if unit else text
    size = int(number) * _FACTORS[unit] if number.isdigit() else int(float(number) * _FACTORS[unit])
    if size <= 0:
        raise ValueError(f'"{value}" is no memory at all: write for example 256Mi, 1Gi or 512M.')
    return size


def parse_percent(value: str | float) -> float:
    """A share from 0 to 1 of `1%` or `0.01`.

    Raises:
        ValueError: It is no share, or not between 0 and 1.
    """
    if isinstance(value, str):
        if not _match(_PERCENT, value):
            raise ValueError(f'"{value}" is no percentage: write for example 1% or 0.01.')
        share = float(value[:-1]) / 100
    else:
        share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f'"{value}" is not between 0% and 100%: write for example 1% or 0.01.')
    return share


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return pattern.fullmatch(text) if len(text) <= _LONGEST else None
