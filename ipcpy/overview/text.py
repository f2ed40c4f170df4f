"""Numbers, names and the past of a topic as text for people, in little room. Knows nothing of where they come from.

All text from the network is made printable, so that nobody can move the cursor of somebody else's terminal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "duration",
    "from_beyond",
    "per_second",
    "percent",
    "plural",
    "printable",
    "printable_lines",
    "size",
    "sparkline",
]

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.:-=+*#"


def printable(text: str) -> str:
    """Replace what does not print, control characters first of all, by its escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """Make text of several lines printable."""
    return "\n".join(map(printable, text.split("\n")))


def from_beyond(via: Mapping[str, Any]) -> str:
    """Say from where a bridge has what a publisher publishes; empty for one of this LAN.

    >>> from_beyond({"bridge": "robot7", "node": "camera"})
    'camera via bridge robot7'
    """
    return f"{via.get('node', '?')} via bridge {via.get('bridge', '?')}" if via else ""


def plural(number: int, noun: str) -> str:
    """Count something.

    >>> plural(1, "topic"), plural(2, "topic")
    ('1 topic', '2 topics')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a time span with a unit that suits it.

    >>> duration(0.00001234), duration(0.25), duration(75)
    ('12.3 µs', '250 ms', '75 s')
    """
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if abs(seconds) * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s" if abs(seconds) < 1000 else f"{seconds:,.0f} s"


def size(number: float) -> str:
    """Write a number of bytes.

    >>> size(43), size(1_234_567)
    ('43 B', '1.23 MB')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number:.0f} B"


def per_second(rate: float) -> str:
    """Write how often something comes, in Hz.

    >>> per_second(18_540), per_second(1.5)
    ('18,540', '1.5')
    """
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def percent(share: float) -> str:
    """Write a share of a whole, 0 to 1; what is more than nothing does not look like nothing.

    >>> percent(0.0), percent(0.00001), percent(0.0234), percent(0.5), percent(0.9999), percent(1.0)
    ('0 %', '<0.1 %', '2.3 %', '50 %', '>99 %', '100 %')
    """
    if share <= 0.0 or share >= 1.0:
        return "0 %" if share <= 0.0 else "100 %"
    if share < 0.001:
        return "<0.1 %"
    if share > 0.99:
        return ">99 %"
    return f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def sparkline(past: Sequence[float], width: int, bars: str = BARS) -> str:
    """Draw the newest values of a past as bars, the newest on the right; a blank for what is not known (NaN).

    Bars are as high as the largest value shown; one that is zero has the lowest.

    >>> sparkline([1, 2, math.nan, 4, 0], 6)
    ' ▃▅ █▁'
    """
    shown = list(past[-width:]) if width > 0 else []
    top = max((value for value in shown if math.isfinite(value)), default=0.0)
    steps = len(bars) - 1
    drawn = [
        " " if not math.isfinite(value) else bars[round(max(0.0, value) / top * steps) if top > 0 else 0]
        for value in shown
    ]
    return "".join(drawn).rjust(width)
