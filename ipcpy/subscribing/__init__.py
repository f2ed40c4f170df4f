"""What receives: a subscriber, and every publisher it hears.

Here live the handle ``Subscriber``, its interior, and the way of a datagram from the socket to the inbox. Publishing
never lives here: the two folders do not import one another, they meet on the wire only.
"""
