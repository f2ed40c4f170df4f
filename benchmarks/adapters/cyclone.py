"""Cyclone DDS on loopback: reliable, its own types; large messages as an array of bytes."""

# No postponed annotations here: its type builder wants types, not their names.
import os
from dataclasses import dataclass
from typing import Any

from cyclonedds.core import InstanceState as Instance
from cyclonedds.core import Policy, Qos, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import array, float64, int64, uint8
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from .contract import LARGE, VALUES, Adapter, Loop, Send, Take, stamp_of_large, stamped

CONFIG = """<CycloneDDS><Domain>
<General><Interfaces><NetworkInterface name="lo" multicast="true"/></Interfaces><AllowMulticast>true</AllowMulticast>
<MaxMessageSize>65500B</MaxMessageSize><FragmentSize>65000B</FragmentSize></General>
<Internal><SocketReceiveBufferSize min="default" max="4MB"/><Watermarks><WhcHigh>8MB</WhcHigh></Watermarks>{batch}
</Internal><Tracing><Verbosity>severe</Verbosity><OutputFile>stderr</OutputFile></Tracing></Domain></CycloneDDS>"""
BATCH = "<WriteBatch>true</WriteBatch>"


@dataclass
class Sample(IdlStruct, typename="BenchSample"):  # type: ignore[misc,call-arg,unused-ignore]
    """The small message."""

    stamp: int64
    gx: float64
    gy: float64
    gz: float64
    ax: float64
    ay: float64
    az: float64
    temperature: float64


@dataclass
class Blob(IdlStruct, typename="BenchBlob"):  # type: ignore[misc,call-arg,unused-ignore]
    """The large message: an array, for a sequence would be a list of int objects."""

    data: array[uint8, LARGE]  # type: ignore[valid-type,unused-ignore]


class Cyclone(Adapter):
    """``write``, and a WaitSet on the receiving side; flat out it keeps all and batches."""

    def _open(self, topic: str) -> tuple[Any, Any, Any]:
        setting = self.setting
        os.environ["CYCLONEDDS_URI"] = CONFIG.format(batch=BATCH if setting.flat_out and not setting.large else "")
        policies = [Policy.Reliability.Reliable(duration(seconds=10))]
        if setting.flat_out:
            limit = 32 if setting.large else 20_000
            policies += [Policy.History.KeepAll, Policy.ResourceLimits(limit, -1, -1)]
        else:
            policies += [Policy.History.KeepLast(64)]
        qos = Qos(*policies)
        participant = DomainParticipant(0)
        return (
            participant,
            Topic(participant, f"{setting.name}_{topic}", Blob if setting.large else Sample, qos=qos),
            qos,
        )

    def sender(self, topic: str) -> Send:
        participant, subject, qos = self._open(topic)
        writer = DataWriter(participant, subject, qos=qos)
        self.keep += [participant, writer]
        write = writer.write
        if self.setting.large:
            return stamped(LARGE, lambda data: write(Blob(bytes(data))))
        return lambda stamp: write(Sample(stamp, *VALUES))

    def receiver(self, topic: str, index: int) -> Loop:
        participant, subject, qos = self._open(topic)
        samples = DataReader(participant, subject, qos=qos)
        waiting = WaitSet(participant)
        condition = ReadCondition(samples, ViewState.Any | Instance.Any | SampleState.NotRead)
        waiting.attach(condition)
        self.keep += [participant, samples, waiting, condition]
        large = self.setting.large

        def loop(take: Take) -> None:
            for_long = duration(seconds=3600)
            while True:
                waiting.wait(for_long)
                while got := samples.take(64):
                    for sample in got:
                        if isinstance(sample, Blob if large else Sample):  # else it says that a writer went
                            if take(stamp_of_large(LARGE, sample.data) if large else sample.stamp):
                                return
                    if len(got) < 64:
                        break

        return loop
