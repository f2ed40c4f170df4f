"""The page of ``ipcpy web``, and the server behind it: one process, one port. What it shows is made in ``overview``, of
what nodes tell; here lives who may ask, what a screen can show of it, and how much of it a browser is sent.
"""
