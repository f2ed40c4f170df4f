"""Images as pages get them: of the newest message, made once for all who look, bounded in number."""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
pytest.importorskip("PIL", reason="needs ipcpy[web]")

import ipcpy as ipc  # noqa: E402
from ipcpy.web import gallery as module  # noqa: E402
from ipcpy.web.gallery import Gallery  # noqa: E402


def message(data, seq=1):
    return ipc.Message(data, "cam", seq, 2_500_000_000, 3_000_000_000, "0" * 16)


@pytest.fixture
def ear():
    return SimpleNamespace(newest=None, count=0)


@pytest.fixture
def gallery(ear):
    gallery = Gallery({"lab cam": ear})
    yield gallery
    gallery.close()


def give(ear, data):
    ear.count += 1
    ear.newest = message(data, ear.count)


def test_before_a_message_there_is_no_image(gallery):
    assert gallery.frame("lab cam", 640) is None
    assert gallery.frame("lab other", 640) is None


def test_an_image_is_a_head_and_a_file(gallery, ear, wait_until):
    give(ear, np.zeros((40, 60, 3), "u1"))
    frame = wait_until(lambda: gallery.frame("lab cam", 640))
    (length,) = struct.unpack_from("<I", frame.data)
    head = json.loads(frame.data[4 : 4 + length])
    assert frame.data[4 + length :] == frame.file and frame.file.startswith(b"\x89PNG")
    assert head == dict(frame.head)
    assert (head["kind"], head["topic"], head["seq"], head["sent"]) == ("image", "lab cam", 1, 2.5)
    assert (head["width"], head["height"], head["full"], head["type"]) == (60, 40, [60, 40], "image/png")


def test_the_newest_message_is_shown_and_those_between_are_left_out(gallery, ear, wait_until):
    for _ in range(5):
        give(ear, np.zeros((40, 60), "u1"))
    assert wait_until(lambda: gallery.frame("lab cam", 640)).head["seq"] == 5
    give(ear, np.zeros((40, 60), "u1"))
    assert wait_until(lambda: (frame := gallery.frame("lab cam", 640)).number == 6 and frame)


def test_an_image_is_made_once_for_all_who_look(gallery, ear, wait_until):
    give(ear, np.zeros((40, 60), "u1"))
    frame = wait_until(lambda: gallery.frame("lab cam", 640))
    assert gallery.frame("lab cam", 640) is frame


def test_what_cannot_be_shown_is_said_and_does_not_stop_the_next(gallery, ear, wait_until):
    give(ear, b"\xff\xd8\xff" + bytes(100))
    wait_until(lambda: gallery.frame("lab cam", 640) or gallery.failed)
    assert "cannot be read" in gallery.failed
    give(ear, np.zeros((40, 60), "u1"))
    assert wait_until(lambda: gallery.frame("lab cam", 640)).number == 2


def test_a_message_without_an_image_shows_none(gallery, ear, wait_until):
    give(ear, {"x": 1})
    assert gallery.frame("lab cam", 640) is None
    give(ear, np.zeros((40, 60), "u1"))
    assert wait_until(lambda: gallery.frame("lab cam", 640)).number == 2


def test_only_so_many_images_are_kept(gallery, ear, wait_until, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    give(ear, np.zeros((40, 60), "u1"))
    for width in range(100, 110):
        wait_until(lambda width=width: gallery.frame("lab cam", width))
    assert len(gallery._frames) == 3
