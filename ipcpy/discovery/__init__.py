"""Rendezvous: how nodes learn at which addresses to look for each other.

``records`` is pure: what a node's advert says, and what to believe of what others say. ``mdns`` speaks on the network.
Whatever comes from here is a hint where to knock: anyone on the link can forge it.
"""
