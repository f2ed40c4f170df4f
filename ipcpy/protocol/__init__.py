"""The protocol without I/O: bytes and ``now`` come in, datagrams and events go out. See docs/protocol.md."""
