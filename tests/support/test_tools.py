"""What a test lacks is a sentence: it skips the test on a user's machine and fails it in CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tools

ROOT = Path(__file__).parents[2]
LACKING = "tests/codec/test_library.py::test_both_ways_with_the_real_release"  # lacks SEED_IPCPY_PATH


@pytest.fixture
def nothing_is_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_refusal", lambda flags: "Operation not permitted")


def test_what_is_missing_is_told_with_the_packages_that_bring_it(nothing_is_installed):
    expected = "nft, ip, unshare not found (Debian: apt-get install iproute2 nftables util-linux)"
    assert tools.missing("nft", "ip", "unshare") == expected
    with pytest.raises(tools.Unavailable, match="^nft not found"):
        tools.need("nft")
    with pytest.raises(tools.Unavailable, match="^ip not found"):
        tools.unshare_net()


def test_what_is_here_is_found_in_sbin_too(monkeypatch, tmp_path):
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/nft").write_text("#!/bin/sh\n")
    (tmp_path / "sbin/nft").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert tools.find("nft") == str(tmp_path / "sbin/nft")
    assert tools.missing("nft") is None
    tools.need("nft")


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_namespaces_that_are_refused_are_told_with_the_reason(nothing_is_installed, tmp_path):
    (tmp_path / "unshare").write_text("#!/bin/sh\n")
    (tmp_path / "unshare").chmod(0o755)
    with pytest.raises(tools.Unavailable, match="^this user may not make namespaces: Operation not permitted$"):
        tools.unshare("--net")


@pytest.mark.parametrize(
    ("required", "told"), [("", "1 skipped"), ("1", "IPCPY_REQUIRE_LAN forbids to skip")], ids=["here", "in CI"]
)
def test_a_test_that_lacks_something_is_skipped_or_in_ci_fails(monkeypatch, required, told):
    monkeypatch.delenv("SEED_IPCPY_PATH", raising=False)
    monkeypatch.setenv("IPCPY_REQUIRE_LAN", required)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", LACKING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert told in done.stdout
    assert "SEED_IPCPY_PATH names no folder" in done.stdout
    assert done.returncode == (1 if required else 0)
