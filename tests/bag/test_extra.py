from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.bag import extra


def test_what_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "mcap" else object())
    with pytest.raises(ipc.IpcError, match=r"need mcap, .*pip install 'ipcpy\[bag\]'"):
        extra.need_extra()


def test_a_recorder_without_the_extra_says_so_and_makes_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    for make in (ipc.Recorder, lambda path: ipc.BlackBox(1, path)):
        with pytest.raises(ipc.IpcError, match=r"ipcpy\[bag\]"):
            make(tmp_path / "run.mcap")
    assert list(tmp_path.iterdir()) == []
