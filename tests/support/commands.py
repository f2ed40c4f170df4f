"""How tests run commands of ours in their own process."""

from __future__ import annotations

import inspect

from click.testing import CliRunner


def apart() -> CliRunner:
    """Return what runs a command and keeps the two outputs apart, which click before 8.2 did when asked to."""
    return CliRunner(**({"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}))
