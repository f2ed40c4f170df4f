"""Recordings: what was published, in MCAP files that other programs open, and back. Uses ipcpy's public classes and
the views; nothing of sockets, frames or how messages come.
"""
