"""What asks and answers: services and their clients, made of reliable topics of ipcpy's own.

Here live the handles ``Service`` and ``Client`` and their interiors. A request is published on a topic that one server
alone subscribes to, an answer on one that one client alone does; what makes topics reliable, large messages arrive and
types travel is theirs, and nothing of it is here.
"""
