"""A program that plays an arm with services: a long task, a quick call, and one that fails."""

from __future__ import annotations

ARM = """
    import sys
    from typing import NamedTuple
    import ipcpy as ipc

    class Goal(NamedTuple):
        x: float
        y: float

    def move(request):
        yield {"left": request.x}
        yield {"left": 0.0}
        return "there"

    def fail(request):
        raise ValueError("no such arm")

    node = ipc.Node("arm")
    services = [
        ipc.Service("arm/move", move, Goal, node=node),
        ipc.Service("double", lambda request: 2 * request.data, node=node),
        ipc.Service("fail", fail, node=node),
    ]
    print("ready", flush=True)
    sys.stdin.read()
"""
