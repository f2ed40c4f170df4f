from __future__ import annotations

from ipcpy.views.schema import json_schema, no_schema, ros_schema


def test_encodings_have_the_names_that_mcap_registers() -> None:
    assert ros_schema("a/msg/B", "x")[::2] == ("cdr", "ros2msg")
    assert json_schema("B", "{}")[::2] == ("json", "jsonschema")
    assert no_schema("raw") == ("raw", "", "", "")
