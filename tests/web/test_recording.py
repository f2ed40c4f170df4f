"""Recordings that a page starts: files of one folder, none overwritten, and a failure is said."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

import bags  # noqa: E402
import ipcpy as ipc  # noqa: E402
from ipcpy.testing import MemoryNetwork  # noqa: E402
from ipcpy.web.chronicle import Chronicle  # noqa: E402
from ipcpy.web.recording import Recording, can_record  # noqa: E402

PATIENCE = 30.0


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def made(network, tmp_path):
    web = network.node("web")
    chronicle = Chronicle()
    recording = Recording(tmp_path, lambda domain: web if domain in ("", network.domain) else None, chronicle)
    recording.chronicle = chronicle
    yield recording
    asyncio.run(recording.close())


def test_the_extra_is_there_where_these_tests_run():
    assert can_record()


def test_it_records_what_is_published(network, made, tmp_path, wait_until):
    pub = ipc.Publisher("imu", node=network.node("robot"))

    async def record():
        told = await made.start({"file": "run.mcap", "topics": ["imu"]})
        assert (told["state"], told["file"]) == ("on", "run.mcap")
        await pub.wait_for_subscribers_async(timeout=PATIENCE)
        pub.publish(7)
        await asyncio.to_thread(wait_until, lambda: made.state()["messages"] == 1, PATIENCE)
        return await made.stop()

    told = asyncio.run(record())
    assert (told["state"], told["messages"], told["text"]) == ("off", 1, "")
    assert [message.topic for message in bags.read(tmp_path / "run.mcap")] == ["imu"]
    assert [event["came"] for event in made.chronicle.after(0)] == [True, False]


def test_news_have_a_new_number_only_where_something_changed(made):
    first = made.news()
    assert made.news() == first and '"state":"off"' in first[1]
    asyncio.run(made.start({}))
    second = made.news()
    assert second[0] > first[0] and '"state":"on"' in second[1]


@pytest.mark.parametrize(
    "said",
    [
        3,
        {"file": "../run.mcap"},
        {"file": "/etc/run.mcap"},
        {"file": "a/b"},
        {"file": ".hidden"},
        {"file": "x" * 300},
        {"file": 3},
        {"file": "run\n"},
        {"topics": "imu"},
        {"topics": [3]},
        {"topics": []},
        {"topics": ["a//b"]},
        {"domain": "other"},
        {"domain": 3},
        {"force": True},
    ],
    ids=str,
)
def test_what_is_no_recording_is_said(made, said, tmp_path):
    with pytest.raises(ipc.ArgumentError):
        asyncio.run(made.start(said))
    assert made.state()["state"] == "off" and list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(made, tmp_path):
    (tmp_path / "run.mcap").write_text("mine")
    with pytest.raises((ipc.IpcError, OSError)):
        asyncio.run(made.start({"file": "run"}))
    assert (tmp_path / "run.mcap").read_text() == "mine" and made.state()["state"] == "off"


def test_there_is_one_at_a_time_and_its_end_is_asked_for_once(made):
    async def record():
        await made.start({})
        with pytest.raises(ipc.ArgumentError, match="already"):
            await made.start({})
        await made.stop()
        with pytest.raises(ipc.ArgumentError, match="nothing is being recorded"):
            await made.stop()

    asyncio.run(record())


def test_what_is_there_is_said_to_be_and_stays_also_where_it_leads_elsewhere(made, tmp_path):
    (tmp_path / "run.mcap").write_bytes(b"mine")
    (tmp_path / "link.mcap").symlink_to(tmp_path / "none" / "outside.mcap")
    for name in ("run", "link.mcap"):
        with pytest.raises(ipc.ArgumentError, match=r"^(run|link)\.mcap is there already; choose another name$"):
            asyncio.run(made.start({"file": name}))
    assert (tmp_path / "run.mcap").read_bytes() == b"mine" and made.state()["state"] == "off"
