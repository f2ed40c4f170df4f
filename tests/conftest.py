"""What all tests share: an ipcpy domain of this session on loopback, processes, hosts, and patience."""

from __future__ import annotations

import os
import signal
import sys
import uuid

# Before anything can import ipcpy: no test talks to the network, to another test run or to a robot.
_key = os.environ.get("TEST_KEY", "")  # a key file: to run the tests with it shows that nothing else changes
_kept = ("IPCPY_REQUIRE_LAN", "IPCPY_PURE")  # what says how the tests run, not what ipcpy is to do
for _name in [name for name in os.environ if name.startswith("IPCPY_") and name not in _kept]:
    del os.environ[_name]
os.environ.pop("PYTEST_ADDOPTS", None)  # how these tests run, not those that they start
DOMAIN = f"test{uuid.uuid4().hex[:10]}"
os.environ["IPCPY_DOMAIN"] = DOMAIN
os.environ["IPCPY_INTERFACES"] = "lo"
os.environ["IPCPY_KEY_FILE"] = _key  # not that of whoever runs the tests

# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C; nohup, SIGHUP.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

from collections.abc import Callable, Generator, Iterator, Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

import ipcpy.discovery.mdns  # noqa: E402, F401  # here: in a thread of a node pytest would rewrite it, while perhaps a test
import ipcpy.events  # noqa: E402, F401  # has something parsed too, and CPython 3.11 loses count then (its issue 106905)
import lan as lan_module  # noqa: E402
import lan_process  # noqa: E402
import own_network  # noqa: E402
import tools  # noqa: E402

_slow = [hypothesis.HealthCheck.too_slow]  # no test fails because the machine is slow
hypothesis.settings.register_profile(
    "ipcpy", deadline=None, suppress_health_check=_slow, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("ipcpy")
own_network.enter_if_beside_others()

Phase = Generator[None, object, object]
Report = Generator[None, pytest.TestReport, pytest.TestReport]
_PROCESSES = pytest.StashKey[list[lan_process.Process]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Report:
    """Show what a failed test's processes printed."""
    report = yield
    if report.failed:
        for process in item.stash.get(_PROCESSES, []):
            report.sections.append((f"process {process.name}", process.report()))
    return report


def pytest_report_header() -> list[str]:
    """Say whether the compiled part is tested, or pure Python."""
    from ipcpy.fast import implementation

    return [f"ipcpy: {implementation()}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need programs of the system: those on a LAN, and those of modules that ask ``tools``."""
    for item in items:
        if "lan" in getattr(item, "fixturenames", ()):
            item.add_marker("lan")
            item.add_marker("tools")
        elif tools in vars(getattr(item, "module", tools)).values():
            item.add_marker("tools")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Phase:
    """Skip a test whose fixtures lack something of this machine."""
    return (yield from _skipped_if_unavailable())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Phase:
    """Skip a test that finds out itself that it lacks something of this machine."""
    return (yield from _skipped_if_unavailable())


def _skipped_if_unavailable() -> Phase:
    try:
        return (yield)
    except tools.Unavailable as error:
        if os.environ.get("IPCPY_REQUIRE_LAN"):
            pytest.fail(f"{error}; IPCPY_REQUIRE_LAN forbids to skip", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """``wait_until(condition, timeout=20.0)`` returns the first true value of ``condition()``."""
    return lan_process.wait_until


@pytest.fixture(autouse=True)
def _no_node_is_left() -> Iterator[None]:
    """Close the node that the process shares, if a test used it: the next one would meet it."""
    yield
    shared = sys.modules.get("ipcpy.node.shared")
    node = shared.share(None) if shared is not None else None
    if node is not None:
        node.close()


@pytest.fixture
def spawn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., lan_process.Process]]:
    """``spawn(program, *arguments, env={}, cwd=None) -> Process``, on this host and in this session's domain.

    A program is the text of a Python program (str), a Python file (Path) or a command (list of words).
    """
    started = request.node.stash.setdefault(_PROCESSES, [])
    own = {"IPCPY_DOMAIN": DOMAIN, "IPCPY_INTERFACES": "lo", "IPCPY_KEY_FILE": os.environ["IPCPY_KEY_FILE"]}
    own |= {name: os.environ[name] for name in ("SEED_IPCPY_PATH",) if name in os.environ}

    def spawn(
        program: lan_process.Program,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
    ) -> lan_process.Process:
        command = lan_process.command_for(program, arguments, tmp_path)
        chosen = {name: os.environ[name] for name in ("IPCPY_SHM",) if name in os.environ}  # by a test, see ``way``
        process = lan_process.Process(command, env=lan_process.clean_env({**own, **chosen, **(env or {})}), cwd=cwd)
        started.append(process)
        return process

    yield spawn
    for process in started:
        process.end()


@pytest.fixture(params=["udp", "shared memory"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test twice: large messages go to other processes of this host by UDP, and through shared memory."""
    if request.param == "udp":
        monkeypatch.setenv("IPCPY_SHM", "0")
    elif sys.platform != "linux":
        raise tools.Unavailable("shared memory is for Linux only")
    chosen: str = request.param
    return chosen


@pytest.fixture
def lan(request: pytest.FixtureRequest) -> Iterator[Callable[..., lan_module.Lan]]:
    """``lan(hosts=3, switch="user", ...) -> Lan``: hosts in this session's domain; see ``lan.Lan``.

    Skips where namespaces are not allowed, as all tests do that lack something of the system; see ``tools``.
    """
    reason = lan_module.why_not()
    if reason is not None:
        raise tools.Unavailable(reason)
    made: list[lan_module.Lan] = []
    started = request.node.stash.setdefault(_PROCESSES, [])

    def make(hosts: int = 2, **options: Any) -> lan_module.Lan:
        env = {name: os.environ[name] for name in ("IPCPY_DOMAIN", "IPCPY_KEY_FILE")} | options.pop("env", {})
        made.append(lan_module.Lan(hosts, env=env, on_spawn=started.append, **options))
        return made[-1]

    yield make
    for network in made:
        network.close()
