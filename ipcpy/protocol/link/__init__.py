"""From node to node: who is there, who lives, and who announces what. ``Link`` is the engine, the others are its parts.
Pure; never a socket, a clock, or anything of messages and their delivery (``data/``).
"""
