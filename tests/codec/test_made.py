from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
from collections import namedtuple

import pytest

from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.made import made_type
from ipcpy.codec.schema import parse_schema

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
# names that methods of tuples have, or that are not ASCII, are names of fields as others are
TYPES = [("Imu", ("gx", "gy")), ("Empty", ()), ("Odd", ("count", "index", "self", "cls")), ("Größe", ("länge", "µ"))]


@pytest.mark.parametrize(("name", "fields"), TYPES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_instance_is_pickled_and_comes_back_as_what_it_was(name, fields, protocol):
    made = made_type(name, fields)
    value = made(*range(len(fields)))
    for back in (pickle.loads(pickle.dumps(value, protocol)), pickle._loads(pickle._dumps(value, protocol))):
        assert back == value
        assert type(back) is made
    assert pickle.loads(pickle.dumps(made, protocol)) is made


@pytest.mark.parametrize(("name", "fields"), TYPES)
def test_an_instance_is_copied(name, fields):
    value = made_type(name, fields)(*([n] for n in range(len(fields))))
    assert copy.copy(value) == copy.deepcopy(value) == value
    assert type(copy.copy(value)) is type(copy.deepcopy(value)) is type(value)
    assert not fields or copy.deepcopy(value)[0] is not value[0]


def test_another_process_that_never_saw_the_schema_reads_it():
    data = pickle.dumps(made_type("Imu", ("gx", "gy"))(1, 2))
    program = "import pickle, sys; value = pickle.load(sys.stdin.buffer); print(value, value.gy)"
    read = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True, timeout=20)
    assert read.stdout.decode().strip() == "Imu(gx=1, gy=2) 2"


def test_it_goes_through_a_queue_of_multiprocessing():
    value = made_type("Imu", ("gx", "gy"))(1, 2)
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    queue.put(value)
    assert queue.get() == value
    queue.close()


def test_equal_schemas_make_one_type_and_others_another():
    library = MsgLibrary({7: ("<2f", namedtuple("Imu", "gx gy"))})
    one, other = (MsgLibrary.from_schema(library.schema).unpack(7, bytes(8)) for _ in range(2))
    assert type(one) is type(other) is made_type("Imu", ("gx", "gy"))
    assert made_type("Imu", ("gx", "gz")) is not type(one)
    assert made_type("Gps", ("gx", "gy")) is not type(one)


def test_types_that_nobody_has_any_more_take_no_memory():
    from ipcpy.codec import made

    made_type("Passing", ("a",))
    gc.collect()
    assert ("Passing", ("a",)) not in made._known


def test_it_is_a_named_tuple_in_all_else():
    spec = parse_schema({"messages": [{"id": 1, "name": "Imu", "format": "<2f", "fields": ["gx", "gy"]}]})[0]
    made = spec.bind().unpack(bytes(8))
    assert repr(made) == "Imu(gx=0.0, gy=0.0)"
    assert made._asdict() == {"gx": 0.0, "gy": 0.0}
    assert made._replace(gx=1.0) == (1.0, 0.0)
    assert not hasattr(made, "__dict__")
