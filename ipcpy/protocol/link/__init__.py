"""From node to node: who is there, and who announces what. Pure."""
