from __future__ import annotations

from commands import apart
from ipcpy.cli.program import program


def test_the_group_names_its_engines() -> None:
    done = apart().invoke(program, ["bridge", "--help"])
    assert done.exit_code == 0
    assert "zenoh" in done.output
