"""One key keeps others out: what a node that has a key puts around each datagram, and where it has the key from.
Nothing of it is imported by a node without a key; never anything of links, topics or messages.
"""
