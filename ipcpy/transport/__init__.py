"""Everything that asks the operating system for something: system calls, with their errors mapped once.

Sockets, network interfaces, host names and processes live here. Frames, peers and topics never do: what a datagram
says is the business of ``protocol/``, and what follows from it that of ``node/`` and the folders above it.
"""
