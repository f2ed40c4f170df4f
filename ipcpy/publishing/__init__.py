"""What publishes: a publisher, and all its subscribers.

Here live the handle ``Publisher``, its interior, and the way of a message to each subscriber: numbers and frames, who
is matched, how long to wait, multicast. Nothing here receives messages, knows who announced what, or makes a socket.
"""
