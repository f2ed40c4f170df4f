"""The program that has parameters: what changes them, in which order things happen, and what the file has."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from ipcpy.asking.client import Client
from ipcpy.errors import ArgumentError, ClosedError, ServiceError, TransportError
from ipcpy.node.shared import node_for
from ipcpy.parameters import file as file_module
from ipcpy.parameters import owner as owner_module
from ipcpy.parameters.owner import Owner
from ipcpy.subscribing.subscriber import Subscriber
from ipcpy.testing import MemoryNetwork

needs_extra = pytest.mark.skipif(file_module.find_spec("tomli_w") is None, reason="needs ipcpy[params]")
DEFAULTS = {"exposure": 0.01, "gain": 1.0, "mode": "auto"}


@pytest.fixture
def net():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def make(net):
    made = []

    def make(defaults=DEFAULTS, file=None, name="cam", node=None):
        node = node or net.node("camera")
        core = node_for(node)
        made.append(Owner(core.naming.topic(name), defaults, file, node, core))
        return made[-1]

    yield make
    for owner in made:
        owner.close()


def test_all_values_are_published_and_latched_with_each_change(net, make):
    owner = make()
    sub = Subscriber("cam/parameters", node=net.node("other"))
    assert sub.recv(timeout=10).data == DEFAULTS
    owner.change({"gain": 2})
    assert sub.recv(timeout=10).data == {**DEFAULTS, "gain": 2.0}
    late = Subscriber("cam/parameters", node=net.node("late"))
    assert late.recv(timeout=10).data == owner.values
    (publisher,) = late.publishers
    assert publisher.schema == {"parameters": {"exposure": "float", "gain": "float", "mode": "str"}}
    assert (publisher.reliable, publisher.keep) == (True, 1)


def test_what_changes_nothing_is_not_published(make):
    owner = make()
    told = []
    owner.changed.add(told.append)
    owner.change({"gain": 1, "mode": "auto"})
    owner.change({})
    assert told == []
    owner.change({"gain": 1, "mode": "manual"})
    assert told == [{"mode": "manual"}]


def test_of_several_all_are_changed_or_none(make):
    owner = make()
    owner.ask(lambda name, value: "no" if value == "bad" else None)
    for wrong in ({"gain": 2.0, "mode": 5}, {"gain": 2.0, "mode": "bad"}, {"gain": 2.0, "fan": 1}):
        with pytest.raises(ArgumentError):
            owner.change(wrong)
    assert owner.values == DEFAULTS


def test_who_refuses_is_asked_before_and_who_is_told_has_the_new_values(make):
    owner = make()
    seen = []
    owner.ask(lambda name, value: seen.append(("asked", value, owner.values["gain"])))
    owner.changed.add(lambda name, value: seen.append(("told", value, owner.values["gain"])))
    owner.change({"gain": 2.0})
    assert seen == [("asked", 2.0, 1.0), ("told", 2.0, 2.0)]


def test_a_refusal_says_what_was_asked_for_and_why(make):
    owner = make()
    owner.ask(lambda name, value: "the sensor amplifies up to 16 times" if value == 20 else None)
    with pytest.raises(ArgumentError, match=r"^gain=20.0 of 'cam' was refused: the sensor amplifies up to 16 times$"):
        owner.change({"gain": 20})


def test_a_function_may_set_others(make):
    owner = make()
    owner.changed.add(lambda name, value: owner.change({"mode": "manual"}) if name == "gain" else None)
    owner.change({"gain": 2.0})
    assert (owner.values["gain"], owner.values["mode"]) == (2.0, "manual")


def test_changes_come_one_after_the_other_whoever_asks(make):
    owner = make({"n": 0})
    inside = []

    def check(name, value):
        inside.append(value)
        assert len(inside) == 1
        inside.pop()

    owner.ask(check)
    threads = [threading.Thread(target=lambda: [owner.change({"n": n}) for n in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owner.values == {"n": 49}


def test_a_call_sets_and_is_answered_with_the_values_then(net, make):
    owner = make()
    client = Client("cam/parameters", node=net.node("other"))
    reply = client.call({"set": {"gain": 2}}, timeout=20)
    assert reply["values"] == owner.values == {**DEFAULTS, "gain": 2.0}
    assert client.call({}, timeout=10) == client.call(None, timeout=20) == reply
    with pytest.raises(ServiceError, match="has no parameter 'gian'") as refused:
        client.call({"set": {"gian": 2}}, timeout=20)
    assert refused.value.type == "ArgumentError"


@pytest.mark.parametrize("wrong", [5, "gain", [1], {"get": 1}, {"set": 5}, {"set": [["gain", 1]]}, {"set": {5: 1}}])
def test_whatever_is_asked_over_the_network_is_answered(net, make, wrong):
    owner = make()
    client = Client("cam/parameters", node=net.node("other"))
    with pytest.raises(ServiceError) as refused:
        client.call(wrong, timeout=20)
    assert refused.value.type == "ArgumentError"
    assert owner.values == DEFAULTS


@needs_extra
def test_a_file_has_each_change_and_the_next_start_has_the_file(make, tmp_path):
    path = tmp_path / "cam.toml"
    owner = make(file=path)
    assert not path.exists(), "there is nothing to keep yet"
    owner.change({"gain": 2, "mode": "manual"})
    assert path.read_text() == '[cam]\nexposure = 0.01\ngain = 2.0\nmode = "manual"\n'
    owner.close()
    assert make(file=path).values == {**DEFAULTS, "gain": 2.0, "mode": "manual"}


@needs_extra
def test_a_table_is_called_as_the_parameters_were_asked_for(net, make, tmp_path):
    path = tmp_path / "cam.toml"
    owner = make(file=path, node=net.node("camera", namespace="robot1"))
    owner.change({"gain": 2})
    assert owner.told == "'robot1/cam' (asked for as 'cam', in namespace 'robot1')"
    assert path.read_text().startswith("[cam]\n")


@needs_extra
def test_what_cannot_be_kept_is_not_changed(make, tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    owner = make(file=folder / "cam.toml")
    folder.rmdir()
    with pytest.raises(TransportError, match="No such file or directory"):
        owner.change({"gain": 2.0})
    assert owner.values == DEFAULTS


def test_what_a_file_has_of_another_kind_ends_the_start(make, tmp_path):
    path = tmp_path / "cam.toml"
    path.write_text('[cam]\ngain = "high"\n')
    with pytest.raises(ArgumentError, match=r"in '.*cam\.toml': gain of 'cam' is of the kind float, got 'high'"):
        make(file=path)
    path.write_text("cam = 5\n")
    with pytest.raises(ArgumentError, match="no table 'cam', but 5"):
        make(file=path)


def test_what_a_file_has_and_the_program_does_not_know_is_logged(make, tmp_path, caplog):
    path = tmp_path / "cam.toml"
    path.write_text("[cam]\ngain = 2.0\nfan = 5\n")
    assert make(file=path).values == {**DEFAULTS, "gain": 2.0}
    assert "fan of 'cam' in " in caplog.text and "is no parameter of this program" in caplog.text


@needs_extra
def test_what_is_refused_of_a_file_has_its_default_again(make, tmp_path, caplog):
    path = tmp_path / "cam.toml"
    path.write_text('[cam]\ngain = 20.0\nmode = "manual"\n')
    owner = make(file=path)
    asked = []

    def check(name, value):
        asked.append(name)
        if name == "gain" and value > 16:
            raise ValueError("too much")

    owner.ask(check)
    assert owner.values == {**DEFAULTS, "mode": "manual"}
    assert sorted(asked) == ["gain", "mode"], "of the others the program is sure"
    assert "gain=20.0 of 'cam' is not taken from the file: too much" in caplog.text


def test_a_second_program_of_the_name_is_told_after_a_while_and_one_that_has_gone_is_not(
    net, make, monkeypatch, caplog, wait_until
):
    monkeypatch.setattr(owner_module, "GRACE", 1.0)
    caplog.set_level(logging.WARNING)
    make(node=net.node("first"))
    brief = make(node=net.node("brief"))
    brief.close()
    make(node=net.node("second"))
    wait_until(lambda: caplog.text.count("has parameters of the same name, 'cam/parameters'") >= 2, timeout=20.0)
    assert "'first'" in caplog.text and "'second'" in caplog.text
    assert "'brief'" not in caplog.text


def test_the_end_withdraws_them_and_keeps_their_values(net, make):
    owner = make()
    sub = Subscriber("cam/parameters", node=net.node("other"))
    sub.wait_for_publishers(timeout=10)
    owner.close()
    owner.close()
    assert owner.values == DEFAULTS
    with pytest.raises(ClosedError, match="the parameters 'cam' are closed"):
        owner.change({"gain": 2.0})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_reads_them_and_may_not_set_them(make):
    owner = make()
    owner.change({"gain": 2.0})
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            owner.change({"gain": 3.0})
        except ClosedError as error:
            os.write(writing, f"{owner.values['gain']} {error}".encode())
        owner.close()
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading) as told:
        assert told.read() == "2.0 the parameters 'cam' belong to the parent of this process: set them there"
    owner.change({"gain": 4.0})
    assert owner.values["gain"] == 4.0


def test_values_that_are_too_many_bytes_change_nothing_and_what_comes_after_is_seen(net, make):
    owner = make()
    sub = Subscriber("cam/parameters", node=net.node("other"))
    assert sub.recv(timeout=10).data == DEFAULTS
    with pytest.raises(ArgumentError, match="have at most 4 MiB, got .* bytes: for bulk take a topic"):
        owner.change({"mode": "x" * owner_module.MAX_BYTES})
    assert owner.values == DEFAULTS
    owner.change({"gain": 2})
    message = sub.recv(timeout=10)
    assert (message.data, message.seq) == ({**DEFAULTS, "gain": 2.0}, 2)
    with pytest.raises(ArgumentError, match="at most 4 MiB"):
        make({"text": "x" * owner_module.MAX_BYTES}, name="large")
