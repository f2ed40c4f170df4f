"""Rendezvous: how nodes learn at which addresses to look for each other.

``advert`` and ``sightings`` are pure: what a node shows of itself, and what to believe of what others say. ``mdns``
speaks on the network.
Whatever comes from here is a hint where to knock: anyone on the link can forge it.
"""
