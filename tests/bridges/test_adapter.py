from __future__ import annotations

import ipcpy as ipc
from ipcpy.bridges.adapter import Adapter, Identity, Unsent
from ipcpy.bridges.memory import MemoryAdapter, Sky


def test_what_did_not_go_out_says_why_for_the_books() -> None:
    error = Unsent("too large")
    assert (error.cause, str(error), isinstance(error, ipc.IpcError)) == ("too large", "too large", True)


def test_an_adapter_keeps_the_contract() -> None:
    adapter: Adapter = MemoryAdapter(Sky())
    assert adapter.engine == "memory"
    assert Identity("ab" * 8, "robot7", ("**",)).wanted == ("**",)
