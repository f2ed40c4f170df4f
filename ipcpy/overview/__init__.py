"""What is seen of a whole system, for programs that show it: rows of topics made of readings of flows, and nodes in
several domains. Uses the public names only; nothing of terminals, pages or commands.
"""
