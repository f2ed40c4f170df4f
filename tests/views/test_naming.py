from __future__ import annotations

from ipcpy.views import Names
from ipcpy.views.schema import json_schema, no_schema, ros_schema

IMU = ros_schema("ipcpy_msgs/msg/Imu", "float32 x\n")
OTHER = ros_schema("ipcpy_msgs/msg/Imu", "float64 x\n")


def test_what_differs_from_the_first_type_of_a_topic_is_shown_beside_it() -> None:
    names = Names()
    views = [IMU, json_schema("ipcpy.imu", "{}"), no_schema("raw"), no_schema("struct")]
    assert [names.topic("imu", view) for view in [*views, *views]] == ["imu", "imu/imu", "imu/raw", "imu/struct"] * 2


def test_another_definition_of_one_name_gets_a_name_of_its_own() -> None:
    names = Names()
    assert [names.schema(each) for each in (IMU, OTHER, IMU, OTHER)] == [IMU.name, f"{IMU.name}2"] * 2


def test_a_json_schema_that_has_grown_keeps_its_name() -> None:
    names = Names()
    assert [names.schema(json_schema("ipcpy.imu", text)) for text in ("{}", '{"type": "object"}')] == ["ipcpy.imu"] * 2


def test_a_name_that_is_forgotten_goes_to_the_next_who_wants_it() -> None:
    names = Names()
    assert names.topic("imu", IMU) == names.topic("imu", OTHER) == "imu"  # one name: which type it is, schema() says
    names.forget_topic("imu")
    assert names.topic("imu", no_schema("raw")) == "imu"
    assert names.schema(IMU) == IMU.name
    names.forget_schema(IMU.name, IMU)
    assert names.schema(OTHER) == IMU.name


def test_names_that_are_nobodys_are_given_to_nobody() -> None:
    names = Names(("ipcpy/originals",), (IMU,))
    assert names.topic("ipcpy/originals", IMU) == "ipcpy/originals/Imu"
    assert names.schema(OTHER) == f"{IMU.name}2"
