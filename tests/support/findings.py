"""What the tests of the doctor's judgements share: places to judge by, and a look at findings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ipcpy.facts import LEVELS, Finding, Places

PLACES = Places(("239.255.77.70", 17_769), ("224.0.0.251", 5_353), range(17_770, 17_780))
ELSEWHERE = Places(("239.1.2.3", 4_000), ("224.9.9.9", 4_999), range(4_001, 4_004))
NUMBERS = re.compile(r"239\.255\.77\.70|224\.0\.0\.251|\b(?:17769|1777\d|5353)\b")  # those of PLACES


def bad(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    """Return level and code of what is not ok, after a look at all of them."""
    found = list(findings)
    for each in found:
        assert each.level in LEVELS
        assert each.text.endswith((".", "?")), each.text
        assert "  " not in each.text and "None" not in each.text
        if each.level == "problem":
            assert each.advice
    return {(each.level, each.code) for each in found if each.level != "ok"}


def text(findings: Iterable[Finding], code: str) -> str:
    """Return the text of the one finding of a code."""
    (found,) = [each for each in findings if each.code == code]
    return found.text


def words(findings: Iterable[Finding]) -> str:
    """Return all that is said: what it is about, the texts, and the advice."""
    return "\n".join(line for each in findings for line in (each.about, each.text, *each.advice))
