"""What receives: a subscriber, and every publisher it hears.

Here live the handle ``Subscriber``, its interior, and the way of a datagram from the socket to the inbox. What
publishes never does: publishing/ and subscribing/ do not import one another, they meet on the wire only.
"""
