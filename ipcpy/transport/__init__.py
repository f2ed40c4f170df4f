"""What asks the operating system: UDP sockets of the data path and the link, interfaces, processes; errors mapped once.

Frames, peers and topics never live here: what a datagram says is the business of ``protocol/``, and what follows from
it that of ``node/`` and the folders above it.
"""
