"""From one publisher to one subscriber: matching, frames' bodies, order, gaps, credit. Pure state machines, each by
itself; never a socket, an address book, or anything of nodes and their tables (``link/``).
"""
