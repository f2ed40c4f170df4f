"""What receives: a subscriber, and all its publishers."""
