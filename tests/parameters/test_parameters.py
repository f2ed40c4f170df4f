"""Parameters, as users hold them: attributes and items, what they may be called, files."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

import ipcpy as ipc
from ipcpy.parameters import file as file_module
from ipcpy.testing import MemoryNetwork

needs_extra = pytest.mark.skipif(file_module.find_spec("tomli_w") is None, reason="needs ipcpy[params]")


@pytest.fixture
def node():
    with MemoryNetwork() as network:
        yield network.node("camera")


@pytest.fixture
def params(node):
    with ipc.Parameters("cam", exposure=0.01, gain=1.0, roi=[1, 2], node=node) as params:
        yield params


def test_values_are_attributes_and_items(params):
    assert (params.exposure, params["gain"], len(params), list(params)) == (0.01, 1.0, 3, ["exposure", "gain", "roi"])
    params.gain = 2
    params["exposure"] = 1
    assert dict(params) == {"exposure": 1.0, "gain": 2.0, "roi": [1, 2]}
    assert "gain" in params and "fan" not in params
    assert {"gain", "set", "on_set"} <= set(dir(params))
    assert repr(params) == "<ipcpy.Parameters 'cam' exposure=1.0 gain=2.0 roi=[1, 2]>"


def test_what_is_not_there_is_said_with_what_is(params):
    with pytest.raises(AttributeError, match="'cam' has no parameter 'gian'; it has exposure, gain, roi"):
        params.gian  # noqa: B018
    with pytest.raises(ipc.ArgumentError, match="'cam' has no parameter 'gian'"):
        params.gian = 2.0
    with pytest.raises(KeyError):
        params["gian"]
    assert not hasattr(params, "_nothing")


def test_several_are_set_at_once_by_names_or_a_dict(params):
    params.set(gain=2.0, exposure=0.5)
    params.set({"gain": 3.0}, exposure=0.25)
    assert (params.gain, params.exposure) == (3.0, 0.25)
    asyncio.run(params.set_async(gain=4.0))
    assert params.gain == 4.0
    for wrong in (
        lambda: params.set(5),
        lambda: params.set({"gain": 1.0}, gain=2.0),
        lambda: params.set([("gain", 1)]),
    ):
        with pytest.raises(ipc.ArgumentError):
            wrong()


def test_a_list_that_is_read_is_a_copy(params):
    params.roi.append(3)
    assert params.roi == [1, 2]


def test_functions_are_added_by_decorators_that_leave_them_what_they_are(params):
    @params.on_set
    def check(name, value):
        if name == "gain" and value > 16:
            raise ValueError("too much")

    told = []

    @params.on_change
    def tell(changes):
        told.append(changes)

    assert callable(check) and callable(tell)
    with pytest.raises(ValueError, match="gain=20.0 of 'cam' was refused: too much"):
        params.gain = 20
    params.gain = 10
    assert told == [{"gain": 10.0}]


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"gain": None}, "the default of 'gain' says of which kind"),
        ({"set": 1}, "no parameter can be called 'set'"),
        ({"_x": 1}, "a parameter's name is one of a variable"),
        ({"a b": 1}, "a parameter's name is one of a variable"),
        (5, "parameters are a dict"),
    ],
)
def test_wrong_defaults_are_refused_with_what_was_expected(node, defaults, says):
    with pytest.raises(ipc.ArgumentError, match=says):
        ipc.Parameters("cam", defaults, node=node)


@pytest.mark.parametrize("name", ["", "a b", "*", "cam/**", 5, None])
def test_a_wrong_name_is_refused(node, name):
    with pytest.raises(ipc.ArgumentError, match="topic"):
        ipc.Parameters(name, gain=1.0, node=node)


def test_names_that_are_arguments_are_taken_from_a_dict(node):
    with ipc.Parameters("cam", {"file": "a.png", "node": 3}, gain=1.0, node=node) as params:
        assert dict(params) == {"file": "a.png", "node": 3, "gain": 1.0}


def test_only_the_program_that_has_them_refuses_or_keeps_them(node, params, tmp_path):
    with ipc.Parameters("cam", node=node) as remote:
        with pytest.raises(ipc.ArgumentError, match="only the program that has the parameters 'cam' may refuse"):
            remote.on_set(lambda changes: None)
        assert remote.gain == 1.0
        remote.gain = 2.0
        assert params.gain == 2.0
    with pytest.raises(ipc.ArgumentError, match="kept in a file by the program that has them"):
        ipc.Parameters("cam", file=tmp_path / "a.toml", node=node)


@needs_extra
def test_values_are_saved_and_loaded_by_whoever_has_them_or_not(node, params, tmp_path):
    path = tmp_path / "cam.toml"
    params.gain = 2.0
    params.save(path)
    params.gain = 3.0
    with ipc.Parameters("cam", node=node) as remote:
        remote.load(path)
        assert params.gain == 2.0
        remote.save(tmp_path / "other.toml")
    assert (tmp_path / "other.toml").read_text() == path.read_text()
    path.write_text("[cam]\ngain = 5.0\nfan = 1\n")
    with pytest.raises(ipc.ArgumentError, match="has no parameter 'fan'"):
        params.load(path)
    assert params.gain == 2.0
    with pytest.raises(ipc.ArgumentError, match="are kept in no file: name one"):
        params.save()


@needs_extra
def test_one_that_is_kept_in_a_file_saves_and_loads_that(node, tmp_path):
    path = tmp_path / "cam.toml"
    with ipc.Parameters("cam", gain=1.0, file=path, node=node) as params:
        params.save()
        assert path.read_text() == "[cam]\ngain = 1.0\n"
        path.write_text("[cam]\ngain = 2.0\n")
        params.load()
        assert params.gain == 2.0


def test_those_of_this_program_are_known_and_a_wrong_time_is_refused(params):
    params.wait_for_parameters(0)
    asyncio.run(params.wait_for_parameters_async(0))
    with pytest.raises(ipc.ArgumentError, match="timeout"):
        params.wait_for_parameters("x")


def test_the_end_keeps_the_values(params):
    params.close()
    assert params.gain == 1.0
    assert repr(params) == "<ipcpy.Parameters 'cam' closed>"
    for after in (lambda: params.set(gain=2.0), params.wait_for_parameters):
        with pytest.raises(ipc.ClosedError):
            after()


def test_those_that_nobody_holds_are_withdrawn(node, wait_until):
    owner = ipc.Parameters("gone", gain=1.0, node=node)
    remote = ipc.Parameters("gone", node=node)
    assert remote.gain == 1.0
    forgotten = weakref.ref(owner), weakref.ref(remote)
    del owner, remote
    gc.collect()
    assert [each() for each in forgotten] == [None, None]
    wait_until(lambda: not [topic for topic in node.topics() if topic.name == "gone/parameters"])
