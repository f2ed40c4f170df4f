"""``ipcpy web`` as people start it: it says its address, serves, and ends well."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

from click.testing import CliRunner  # noqa: E402

from ipcpy.cli.program import program  # noqa: E402
from ipcpy.web import extra  # noqa: E402

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import time
    import ipcpy as ipc
    pub = ipc.Publisher("web/imu", keep=1)
    pub.publish({"gz": 0.5})
    print("ready", flush=True)
    time.sleep(1000)
"""


def ask(url, path):
    with urllib.request.urlopen(f"{url}{path}", timeout=30) as response:
        return json.loads(response.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_a_signal(spawn, wait_until, number, tmp_path: Path):
    spawn(ROBOT).wait_line("ready", timeout=30)
    server = spawn([*IPCPY, "web", "--port", "0", "--json", "--folder", str(tmp_path)])
    told = json.loads(server.wait_line(r"\{.*", timeout=30).group())
    assert told["url"] == f"http://127.0.0.1:{told['port']}/"
    assert wait_until(lambda: [each["topic"] for each in ask(told["url"], "api/graph")["topics"]] == ["web/imu"], 30.0)
    assert ask(told["url"], "api/message?topic=web/imu&wait=10")["data"] == {"gz": 0.5}
    server.signal(number)
    assert server.wait() == 0


def test_who_listens_for_others_prints_the_token(spawn):
    server = spawn([*IPCPY, "web", "--port", "0", "--host", "0.0.0.0"])
    assert server.wait_line(r"the page is at http://\S+:\d+/\?token=\S{20,}", timeout=30)
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_a_port_that_is_taken_is_a_failure_with_a_sentence(spawn):
    first = spawn([*IPCPY, "web", "--port", "0", "--json"])
    port = json.loads(first.wait_line(r"\{.*", timeout=30).group())["port"]
    second = spawn([*IPCPY, "web", "--port", str(port)])
    assert second.wait() == 1
    assert f"port {port} of 127.0.0.1 cannot be had" in second.stderr


@pytest.mark.parametrize("wrong", [["--port", "99999"], ["--port", "x"], ["--folder", "/no/such"], ["imu"]], ids=str)
def test_wrong_usage_is_said(wrong):
    result = CliRunner().invoke(program, ["web", *wrong])
    assert result.exit_code == 2


def test_without_its_extra_it_names_the_extra(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    result = CliRunner().invoke(program, ["web"])
    assert result.exit_code == 1 and "pip install 'ipcpy[web]'" in result.output
