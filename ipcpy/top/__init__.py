"""``ipcpy top``: what every topic does, live in a terminal. Uses textual, the public names and the overview; nothing
of commands.
"""
