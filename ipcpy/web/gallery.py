"""Images that pages look at, made when somebody has room for one, of the newest message then. Knows who looks and a
worker thread; nothing of how an image becomes a file.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import ipcpy as ipc

from .hearing import Ear
from .pictures import find_image, show_image

__all__ = ["Frame", "Gallery"]

log = logging.getLogger(__name__)

KEPT = 64  # images, of one topic in one width each


class Frame(NamedTuple):
    """An image as it is sent.

    Attributes:
        number: which message of its topic it is, as this server counts them.
        data: the length of the head, the head, the file.
        head: what is said of it.
        file: the file.
    """

    number: int
    data: bytes
    head: Mapping[str, Any]
    file: bytes


class Gallery:
    """The newest images.

    Args:
        ears: what is heard, by topic.
        bgr: colours are blue, green, red, as OpenCV has them.
    """

    def __init__(self, ears: Mapping[str, Ear], *, bgr: bool = False) -> None:
        self._ears = ears
        self._bgr = bgr
        self._worker = ThreadPoolExecutor(1, "ipcpy web images")
        self._frames: dict[tuple[str, int], Frame] = {}
        self._made: dict[tuple[str, int], Future[Frame | None]] = {}
        self._tried: dict[tuple[str, int], int] = {}
        self.failed = ""

    def frame(self, id: str, width: int) -> Frame | None:
        """Return the newest image that is ready, and have a newer one made if there is a newer message.

        Args:
            id: the topic's.
            width: pixels.
        """
        key = (id, width)
        made = self._made.get(key)
        if made is not None and made.done():
            del self._made[key]
            frame = made.result()
            if frame is not None:
                self._frames.pop(key, None)
                self._frames[key] = frame
                while len(self._frames) > KEPT:
                    del self._frames[next(iter(self._frames))]
        ear = self._ears.get(id)
        message = None if ear is None else ear.newest
        if ear is not None and message is not None and key not in self._made and self._tried.get(key) != ear.count:
            if len(self._tried) > 4 * KEPT:
                self._tried.clear()
            self._tried[key] = ear.count
            self._made[key] = self._worker.submit(self._make, id, message, ear.count, width)
        return self._frames.get(key)

    def _make(self, id: str, message: ipc.Message, number: int, width: int) -> Frame | None:
        image = find_image(message.data)
        if image is None:
            return None
        try:
            shown = show_image(image, width, bgr=self._bgr)
        except ValueError as error:
            self.failed = str(error)
            return None
        except Exception:  # a defect, which is to cost one image and no more
            log.exception("%s: an image could not be shown", id)
            return None
        head = {
            "kind": "image",
            "topic": id,
            "seq": message.seq,
            "sent": message.sent_ns / 1e9,
            "width": shown.width,
            "height": shown.height,
            "full": list(shown.full),
            "type": shown.type,
            "range": None if shown.range is None else list(shown.range),
        }
        text = json.dumps(head, separators=(",", ":")).encode()
        return Frame(number, struct.pack("<I", len(text)) + text + shown.data, head, shown.data)

    def close(self) -> None:
        """Make no more images."""
        self._worker.shutdown(wait=False, cancel_futures=True)
