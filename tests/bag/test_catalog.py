from __future__ import annotations

import dataclasses

import pytest

from ipcpy.bag import catalog as module
from ipcpy.bag.catalog import Catalog, CatalogFull
from ipcpy.bag.form import ORIGINALS, ORIGINALS_SCHEMA, Origin
from ipcpy.views import View
from ipcpy.views.schema import json_schema, no_schema, ros_schema

ORIGIN = Origin("imu", "00" * 8, "struct")
IMU = ros_schema("ipcpy_msgs/msg/Imu", "float32 x\n")


def parsed(catalog: Catalog, number: int):
    """Return the channel and the schema as mcap reads them."""
    mcap = pytest.importorskip("mcap.records", reason="needs ipcpy[bag]")
    from io import BytesIO

    from mcap.data_stream import ReadDataStream

    channel = catalog.channels[number]
    read = mcap.Channel.read(ReadDataStream(BytesIO(channel.record[9:])))
    if not channel.schema:
        return read, None
    return read, mcap.Schema.read(ReadDataStream(BytesIO(catalog.schemas[channel.schema].record[9:])))


def test_a_channel_and_its_schema_are_what_mcap_reads() -> None:
    catalog = Catalog()
    channel, schema = parsed(catalog, catalog.channel(ORIGIN, View("", IMU, ())))
    assert (channel.topic, channel.message_encoding, channel.schema_id) == ("imu", "cdr", schema.id)
    assert Origin.of(channel.metadata) == ORIGIN
    assert (schema.name, schema.encoding, schema.data) == ("ipcpy_msgs/msg/Imu", "ros2msg", b"float32 x\n")


def test_publishers_of_one_type_share_its_schema_and_the_topic() -> None:
    catalog = Catalog()
    one, other = catalog.channel(ORIGIN, View("", IMU, ())), catalog.channel(ORIGIN, View("", IMU, ()))
    assert one != other
    assert len(catalog.schemas) == 1
    assert parsed(catalog, one)[0].topic == parsed(catalog, other)[0].topic == "imu"


def test_another_type_on_a_topic_is_shown_beside_it() -> None:
    catalog = Catalog()
    views = [IMU, ros_schema("ipcpy_msgs/msg/Gps", "float64 x\n"), json_schema("ipcpy.imu", "{}"), no_schema("raw")]
    topics = [parsed(catalog, catalog.channel(ORIGIN, View("", schema, ())))[0].topic for schema in [*views, *views]]
    assert topics == ["imu", "imu/Gps", "imu/imu", "imu/raw"] * 2


def test_another_definition_of_one_name_gets_a_name_of_its_own() -> None:
    catalog = Catalog()
    other = ros_schema("ipcpy_msgs/msg/Imu", "float64 x\n")
    names = [parsed(catalog, catalog.channel(ORIGIN, View("", schema, ())))[1].name for schema in (IMU, other, IMU)]
    assert names == ["ipcpy_msgs/msg/Imu", "ipcpy_msgs/msg/Imu2", "ipcpy_msgs/msg/Imu"]


def test_nobody_gets_the_names_of_originals() -> None:
    origin = dataclasses.replace(ORIGIN, topic=ORIGINALS)
    original = ros_schema(ORIGINALS_SCHEMA.name, "float64 x\n")
    for schema in (original, no_schema("raw"), json_schema("ipcpy.ipcpy.originals", "{}")):
        catalog = Catalog()
        channel, read = parsed(catalog, catalog.channel(origin, View("", schema, ())))
        assert channel.topic.startswith(f"{ORIGINALS}/")
        assert read is None or read.name != ORIGINALS_SCHEMA.name
        channel, read = parsed(catalog, catalog.originals())
        assert (channel.topic, read.name) == (ORIGINALS, ORIGINALS_SCHEMA.name)


def test_a_json_schema_that_has_grown_keeps_its_name_and_topic() -> None:
    catalog = Catalog()
    found = [parsed(catalog, catalog.channel(ORIGIN, View("", json_schema("ipcpy.imu", text), ()))) for text in "ab"]
    assert [(channel.topic, schema.name) for channel, schema in found] == [("imu", "ipcpy.imu")] * 2
    assert found[0][1].id != found[1][1].id


def test_what_ros_has_no_encoding_for_is_known() -> None:
    catalog = Catalog()
    numbers = [
        catalog.channel(ORIGIN, View("", IMU, ())),
        catalog.originals(),
        catalog.channel(ORIGIN, View("", no_schema("raw"), ())),
    ]
    assert [catalog.channels[number].is_ros for number in numbers] == [True, True, False]
    assert catalog.originals() == numbers[1]


def test_it_ends_where_mcaps_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHANNELS", 5)
    catalog = Catalog()
    for _ in range(4):
        catalog.channel(ORIGIN, View("", IMU, ()))
    with pytest.raises(CatalogFull):
        catalog.channel(ORIGIN, View("", IMU, ()))
