"""Sockets, interfaces and processes: all that asks the operating system for something."""
