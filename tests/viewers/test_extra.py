from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.viewers.extra import need_foxglove


def test_without_foxglove_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipcpy.viewers.extra.find_spec", lambda name: None)
    with pytest.raises(ipc.IpcError, match=r"pip install 'ipcpy\[foxglove\]'"):
        need_foxglove()


def test_looking_whether_it_is_there_loads_nothing(spawn) -> None:
    program = (
        "import sys; from ipcpy.viewers import extra, foxglove, plotjuggler; print('foxglove' in sys.modules, 'ok')"
    )
    assert spawn(program).succeed().strip() == "False ok"
