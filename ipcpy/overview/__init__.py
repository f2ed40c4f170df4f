"""What is seen of a whole system, for programs that show it: rows of topics made of readings of flows, and nodes in
several domains. Uses the public names only; nothing of terminals, pages or commands.
"""

from .overview import Overview as Overview
from .rows import KEYS as KEYS
from .rows import FlowRow as FlowRow
from .rows import NodeRow as NodeRow
from .rows import TopicRow as TopicRow
from .rows import matching as matching
from .rows import ordered as ordered

__all__ = ["KEYS", "FlowRow", "NodeRow", "Overview", "TopicRow", "matching", "ordered"]
