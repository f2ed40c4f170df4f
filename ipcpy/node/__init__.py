"""The node: handle and core, the one I/O thread, the link alive, rendezvous, introductions, the graph, exit and fork.

Sockets are made in transport/, frames in protocol/. No message of a user is ever read here.
"""
