"""Messages as other programs' viewers read them: CDR with ROS 2 definitions, JSON with JSON Schema, ROS images. Pure:
bytes in, bytes out, never a file, a socket or a clock. Recordings and live viewers share it.
"""

from __future__ import annotations

from ..codec.bodies import Bodies, Verbatim
from .naming import Names
from .seen import BESIDE, SELF, STRUCT, Rest, Schema, Seen, View, Viewer, body_of, struct_views, viewer_for
from .structs import StructView

__all__ = [
    "BESIDE",
    "SELF",
    "STRUCT",
    "Bodies",
    "Names",
    "Rest",
    "Schema",
    "Seen",
    "StructView",
    "Verbatim",
    "View",
    "Viewer",
    "body_of",
    "struct_views",
    "viewer_for",
]
