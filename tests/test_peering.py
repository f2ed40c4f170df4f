"""The link alive: when mDNS joins in."""

from __future__ import annotations

import ipcpy as ipc


def until(condition, node, timeout=20.0):
    return node._view.wait(condition, timeout)


def test_mdns_starts_also_where_others_were_found_without_it(monkeypatch):
    started = []
    monkeypatch.setattr("ipcpy.peering.Peering._start_mdns", lambda peering: started.append(len(peering.link.peers)))
    with ipc.Node("a", interfaces="lo", domain="peering") as a, ipc.Node("b", interfaces="lo", domain="peering") as b:
        assert until(lambda: len(a._view._nodes) == len(b._view._nodes) == 2, a)
        with a.watch() as watch:  # nothing more comes; it only keeps the time
            deadline = 20
            while len(started) < 2 and deadline:
                deadline -= 1
                try:
                    while True:
                        watch.get(timeout=0.25)
                except TimeoutError:
                    pass
        assert started == [1, 1]
