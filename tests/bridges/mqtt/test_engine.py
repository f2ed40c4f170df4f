"""bridges.mqtt.engine: what goes wrong with a broker, in sentences; and what the library is asked for."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from ipcpy.bridges.mqtt.engine import Engine, load_engine, sentence
from ipcpy.bridges.mqtt.options import check_options
from ipcpy.errors import IpcError

OPTIONS = check_options({"connect": "mqtts://broker"}, {})


class Refused(Exception):
    """As aiomqtt raises it, with the words of the broker."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.rc = words


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("[Errno 111] Connection refused"), "no broker at broker:8883: Connection refused"),
        (OSError("[Errno -2] Name or service not known"), "no broker at broker:8883: Name or service not known"),
        (OSError("Operation timed out"), "the broker at broker:8883 does not answer"),
        (
            OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:992)"),
            "the certificate of the broker at broker:8883 is refused: self-signed certificate; "
            "--ca names who vouches for it",
        ),
        (OSError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)"), "does not speak TLS"),
        (
            OSError("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2576)"),
            "refuses our certificate",
        ),
        (Refused("Not authorized"), "lets us not in: Not authorized; see --username and IPCPY_MQTT_PASSWORD"),
        (Refused("Session taken over"), "has another client of our name"),
        (Refused("Unsupported protocol version"), "does not speak MQTT 5"),
        (Refused("Protocol error"), "what answers at broker:8883 does not speak MQTT"),
        (Refused("Unspecified error"), "the connection to the broker at broker:8883 was lost"),
        (ValueError(), "the connection to the broker at broker:8883 was lost: ValueError"),
    ],
)
def test_what_went_wrong_is_a_sentence(error: Any, text: str) -> None:
    assert text in sentence(error, OPTIONS)


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    with pytest.raises(IpcError, match=r"pip install 'ipcpy\[mqtt\]'"):
        load_engine()


def test_many_are_published_together_not_each_after_the_answer_to_the_one_before() -> None:
    class Slow(Engine):
        """Its broker answers when it has heard three."""

        def __init__(self) -> None:
            self.heard: list[Any] = []
            self.enough = asyncio.Event()

        async def publish(self, publication: Any) -> None:
            self.heard.append(publication)
            if len(self.heard) == 3:
                self.enough.set()
            await self.enough.wait()

    async def publish() -> list[Any]:
        engine = Slow()
        await asyncio.wait_for(engine.publish_all(["a", "b", "c"]), 20)  # type: ignore[list-item]
        return engine.heard

    assert asyncio.run(publish()) == ["a", "b", "c"]
