"""What is missing is said in a sentence that names the extra."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.web import extra


def test_what_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name != "aiohttp" else object())
    with pytest.raises(ipc.IpcError) as error:
        extra.need_extra()
    assert str(error.value) == "ipcpy web needs Pillow and prometheus-client, of an extra: pip install 'ipcpy[web]'"


def test_where_nothing_is_missing_nothing_is_said(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: object())
    extra.need_extra()
