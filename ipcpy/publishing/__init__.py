"""What publishes: a publisher, and all its subscribers."""
