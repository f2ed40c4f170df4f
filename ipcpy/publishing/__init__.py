"""What publishes: how a message is numbered, framed, and brought to all subscribers of one publisher.

Nothing here receives messages, knows who announced what, or makes a socket.
"""
