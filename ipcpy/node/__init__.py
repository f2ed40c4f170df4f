"""The node: one identity, one I/O thread, who meets whom. Sockets are made in transport/, frames in protocol/."""
