"""The node: one identity, one I/O thread, and who meets whom."""
