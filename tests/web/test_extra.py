"""What is missing is said in a sentence that names the extra."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.web import extra


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ((), "aiohttp, Pillow and prometheus-client, which come"),
        (("aiohttp",), "Pillow and prometheus-client, which come"),
        (("aiohttp", "PIL"), "prometheus-client, which comes"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(monkeypatch, present, said):
    monkeypatch.setattr(extra, "find_spec", lambda name: object() if name in present else None)
    with pytest.raises(ipc.IpcError) as error:
        extra.need_extra()
    assert str(error.value) == f"ipcpy web needs {said} with an extra: pip install 'ipcpy[web]'"


def test_where_nothing_is_missing_nothing_is_said(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: object())
    extra.need_extra()
