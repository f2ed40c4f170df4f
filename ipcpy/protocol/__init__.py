"""The protocol: bytes and ``now`` come in, datagrams and events go out. No socket, clock or thread ever lives here.

``data/`` is from one publisher to one subscriber, ``link/`` from node to node; the two never import one another. Both
rest on ``wire`` (frames) and ``topics`` (names). See docs/protocol.md.
"""
