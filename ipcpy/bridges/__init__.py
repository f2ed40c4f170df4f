"""Topics beyond one LAN: one core, which says what crosses and when, and an adapter for each engine that carries it.

What is exported, imported, thinned out and counted lives in the core; an adapter knows one engine and none of that.
Engines themselves never live here: they are others' libraries.
"""
