"""Options that commands share: before or after a command's name, and topic names that complete."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli import options
from ipcpy.cli.options import (
    LONGEST,
    SECONDS,
    as_json,
    domains_options,
    naming_options,
    node_options,
    open_fleet,
    open_node,
    topic_argument,
)


@click.group()
@node_options
@naming_options
def program():
    """A program with the one command that tests need."""


@program.command()
@topic_argument
@click.option("--timeout", type=SECONDS, default=1.0)
@as_json
@node_options
@naming_options
@click.pass_context
def look(ctx, topic, timeout, as_json):
    """Say how it was called."""
    click.echo(f"{topic} {timeout} {as_json} {sorted((ctx.obj or {}).items())}")


@program.command()
@click.pass_context
def own(ctx):
    """Open the node, and say what it is."""
    with open_node(ctx) as node:
        info = next(each for each in node.nodes() if each.id == node.id)
        click.echo(f"{info.name} {node.domain}")


@program.command()
@domains_options
@click.pass_context
def around(ctx):
    """Open the nodes, and say where they are."""
    with open_fleet(ctx) as fleet:
        click.echo(f"{' '.join(fleet.domains)} {fleet.everywhere}")
        assert {each.name for node in fleet.nodes for each in node.nodes() if each.id == node.id} == {"ipcpy-around"}


def run(*arguments):
    done = CliRunner().invoke(program, arguments)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def test_the_options_of_a_node_may_stand_before_or_after_the_command():
    expected = "imu 1.0 False [('domain', 'lab'), ('peers', 'a,b')]"
    assert run("--domain", "lab", "--peers", "a,b", "look", "imu") == expected
    assert run("look", "imu", "--domain", "lab", "--peers", "a,b") == expected
    assert run("--domain", "lab", "look", "imu", "--peers", "a,b") == expected


def test_after_the_command_has_precedence():
    assert "('domain', 'near')" in run("--domain", "far", "look", "imu", "--domain", "near")


def test_without_options_a_node_is_left_to_the_environment():
    assert run("look", "imu") == "imu 1.0 False []"


def test_a_node_is_named_after_its_command_and_in_the_domain_asked_for():
    assert run("--domain", "lab-of-options", "own") == "ipcpy-own lab-of-options"


def test_help_names_the_variables():
    for name in ("IPCPY_DOMAIN", "IPCPY_INTERFACES", "IPCPY_PEERS"):
        assert name in run("look", "--help")


def test_names_may_be_under_a_namespace_and_remapped():
    kept = "[('namespace', 'r'), ('remap', 'a:=b,c:=d')]"
    assert kept in run("--namespace", "r", "look", "imu", "--remap", "a:=b", "--remap", "c:=d")
    assert kept in run("--remap", "a:=x", "look", "imu", "--remap", "a:=b,c:=d", "--namespace", "r")


def test_empty_ones_mean_none_whatever_the_environment_says():
    assert "[('namespace', ''), ('remap', '')]" in run("look", "imu", "--namespace", "", "--remap", "")
    for name in ("IPCPY_NAMESPACE", "IPCPY_REMAP"):
        assert name in run("look", "--help")


@pytest.mark.parametrize("seconds", ["-1", "x", "nan", "-inf"])
def test_a_time_is_a_number_from_0(seconds):
    assert CliRunner().invoke(program, ["look", "imu", "--timeout", seconds]).exit_code == 2


@pytest.mark.parametrize(("text", "number"), [("0", 0.0), ("0.5", 0.5), ("inf", LONGEST), ("1e300", LONGEST)])
def test_longer_than_can_be_waited_is_for_ever(text, number):
    assert SECONDS.convert(text, None, None) == number


def complete(arguments, incomplete):
    return [item.value for item in ShellComplete(program, {}, "p", "_P").get_completions(arguments, incomplete)]


def test_topics_complete_but_patterns_do_not(monkeypatch, wait_until):
    monkeypatch.setattr(options, "COMPLETION_TIME", 20.0)
    with ipc.Node("robot") as node:
        with ipc.Publisher("o/imu", node=node), ipc.Publisher("o/gps", node=node), ipc.Subscriber("p/*", node=node):
            wait_until(lambda: complete(["look"], "o/") == ["o/gps", "o/imu"], timeout=20.0)
            wait_until(lambda: complete(["look"], "o/i") == ["o/imu"], timeout=20.0)
            assert complete(["look"], "p/") == []
            wait_until(lambda: complete(["look"], "/o/i") == ["/o/imu"], timeout=20.0)
            monkeypatch.setenv("IPCPY_NAMESPACE", "o")
            wait_until(lambda: complete(["look"], "") == ["gps", "imu"], timeout=20.0)
            monkeypatch.setenv("IPCPY_NAMESPACE", "p")
            wait_until(lambda: complete(["look"], "") == ["/o/gps", "/o/imu"], timeout=20.0)


def test_parameters_complete(monkeypatch, wait_until):
    monkeypatch.setattr(options, "COMPLETION_TIME", 20.0)
    with ipc.Node("robot") as node, ipc.Parameters("o/camera", gain=1.0, node=node), ipc.Publisher("o/x", node=node):
        command = click.Command("get", params=[click.Argument(["name"], type=options._Parameters())])
        group = click.Group("p", commands={"get": command})
        complete = ShellComplete(group, {}, "p", "_P").get_completions
        wait_until(lambda: [item.value for item in complete(["get"], "o")] == ["o/camera"], timeout=20.0)


def test_whatever_goes_wrong_while_the_user_types_is_silence(monkeypatch):
    def refuse(*_, **__):
        raise ipc.TransportError(24, "Too many open files")

    monkeypatch.setattr(ipc, "Node", refuse)
    assert complete(["look"], "") == []


def test_a_topic_is_brought_to_the_form_that_names_have():
    assert CliRunner().invoke(program, ["look", "cafe\u0301"]).output.split()[0] == "caf\u00e9"


# -- several domains


def test_domains_are_named_before_or_after_the_command(monkeypatch):
    monkeypatch.setenv("IPCPY_DOMAIN", "env")
    assert run("around") == "env False"
    assert run("around", "--domain", "b, a,b") == "b a False"
    assert run("--domain", "a,b", "around") == "a b False"
    assert run("around", "--domain", "a", "--all-domains").startswith("a")
    assert run("around", "--all-domains").endswith("True")


@pytest.mark.parametrize("domains", ["", "a,", ",", "a,,b"])
def test_a_domain_without_a_name_is_refused(domains):
    done = CliRunner().invoke(program, ["around", "--domain", domains])
    assert done.exit_code == 2
    assert "robotA,robotB" in done.output
