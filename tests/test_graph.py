"""Values of the graph: they do not change, compare by what they say, and name where an endpoint is."""

from __future__ import annotations

import dataclasses

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo, TopicInfo

NODE = NodeInfo("0" * 16, "arm", "robot", 42, "lab", "10.0.0.2:17770", "1", "alive", 0.5)
PUBLISHER = EndpointInfo("1" * 16, "publisher", "imu", "raw", {}, False, 0, NODE)


def test_an_endpoint_says_where_it_is():
    assert (PUBLISHER.host, PUBLISHER.pid, PUBLISHER.address) == ("robot", 42, "10.0.0.2:17770")
    here = dataclasses.replace(PUBLISHER, node=dataclasses.replace(NODE, address=None))
    assert here.address is None


@pytest.mark.parametrize("value", [NODE, PUBLISHER, TopicInfo("imu", "raw", {}, (PUBLISHER,), ())])
def test_a_value_does_not_change_and_equals_one_that_says_the_same(value):
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    assert value == dataclasses.replace(value)
