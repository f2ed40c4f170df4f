"""Stands for ``ipcpy.discovery.mdns.Mdns``, and sends nothing."""

from __future__ import annotations


class Mdns:
    """Takes note of what it is told."""

    counters = {"own": 3}
    error = None

    def __init__(self, advert, interfaces, on_found, *, known, keys, on_state):
        self.keys, self.on_state = keys, on_state
        self.adverts, self.interfaces, self.on_found, self.known = [advert], [interfaces], on_found, known
        self.ends, self.everywhere, self.others = [], 0, []

    def domains(self):
        self.everywhere += 1
        return {"garage": 1, "home": 3, "attic": 1}

    def start(self):
        pass

    def update(self, advert):
        self.adverts.append(advert)

    def represent(self, adverts):
        self.others.append(list(adverts))

    def set_interfaces(self, addresses):
        self.interfaces.append(addresses)

    def close(self):
        self.ends.append("closed")

    def abandon(self):
        self.ends.append("abandoned")
