"""Rendezvous by mDNS: how nodes learn at which addresses to look for each other, and what a browser shows of them.

What comes from here is a hint where to knock, for anyone on the link can forge it. Who is alive, and who publishes
what, never lives here: the link tells that (``protocol/link``, ``node``).
"""
