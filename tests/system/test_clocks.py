"""How late messages are, between hosts whose clocks are hours apart, drift, and are set: right within the bound.

The clocks are made up by libfaketime. The truth is the kernel's monotonic clock, which the hosts share: the programs
ask for it by a raw system call, which libfaketime does not see.
"""

from __future__ import annotations

import json
import math
import platform

import pytest

import tools

CALLS = {"x86_64": 228, "aarch64": 113}  # clock_gettime(2)
TRUTH = """
    import ctypes, json, os, select, time
    libc, real, seen = ctypes.CDLL(None), time.time_ns, {}
    class Time(ctypes.Structure):
        _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]
    def true_ns():
        found = Time()
        libc.syscall(CALL, 1, ctypes.byref(found))
        return found.s * 10**9 + found.ns
    def time_ns():
        before, wall, after = true_ns(), real(), true_ns()
        seen.setdefault(wall, []).append((before, after))
        return wall
    time.time_ns = time_ns
    import ipcpy as ipc
"""
PUBLISHER = """
    jumps = json.loads(os.environ["JUMPS"])
    pause, file = select.poll(), os.environ["FAKETIME_TIMESTAMP_FILE"]
    pause.register(os.pipe()[0], select.POLLIN)  # time.sleep fails where libfaketime leaves the monotonic clock alone
    with ipc.Publisher("t", ipc.Raw()) as pub:
        pub.wait_for_subscribers(timeout=20)
        began = true_ns()
        while (passed := (true_ns() - began) / 1e9) < SECONDS:
            if jumps and passed > jumps[0][0]:
                with open(file + ".new", "w") as new:
                    new.write(jumps.pop(0)[1])
                os.rename(file + ".new", file)
            pub.publish(b"x")
            pause.poll(4)
        pause.poll(500)
    with open(os.environ["OUT"], "w") as out:
        json.dump(list(dict(seen).items()), out)
"""
SUBSCRIBER = """
    rows, path = [], os.environ["OUT"] + ".mcap"
    with ipc.Recorder(path, "t"), ipc.Subscriber("t") as sub:
        print("ready", flush=True)
        message = sub.recv(30)
        while message is not None:
            rows.append((message.sent_ns, message.received_ns, *sub.delay(message)))
            try:
                message = sub.recv(3)
            except TimeoutError:
                message = None
    with ipc.Bag(path) as bag:
        recorded = [(each.sent_ns, each.received_ns, *bag.delay(each)) for each in bag.messages()]
    with open(os.environ["OUT"], "w") as out:
        json.dump((rows, recorded, list(dict(seen).items())), out)
"""
SECONDS = 12
JUMPS = [(2, "+7h x1.0001"), (4, "-1h x1.0001"), (6, "-3605 x1.0001"), (8, "-3603.5 x1.0001"), (10, "+3h x1.0001")]


def judge(sent: dict, received: dict, row: tuple) -> bool:
    """Tell whether the truth is within what was said of a message."""
    sent_ns, received_ns, seconds, bound = row
    near = 2e-6
    for left, later in sent[sent_ns]:
        for read, after in received[received_ns]:
            if seconds - bound - near <= (after - left) / 1e9 and (read - later) / 1e9 <= seconds + bound + near:
                return True
    return False


def test_delays_are_right_within_their_bound_between_clocks_that_differ_drift_and_jump(lan, tmp_path):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    library = tools.faketime()
    if platform.machine() not in CALLS:
        pytest.skip(f"the number of clock_gettime(2) on {platform.machine()} is not known here")
    hosts = lan(2, switch="user")
    hosts.impair(src=1, dst=2, delay=0.015, jitter=0.015)  # 0 to 30 ms, and nothing back
    clock = tmp_path / "clock"
    clock.write_text("+3h x1.0001")
    fake = {"LD_PRELOAD": library, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    publishing = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "JUMPS": json.dumps(JUMPS)}
    truth = TRUTH.replace("CALL,", f"{CALLS[platform.machine()]},")
    out = [tmp_path / "sent.json", tmp_path / "received.json"]
    subscriber = hosts.spawn(2, truth + SUBSCRIBER, env={**fake, "FAKETIME": "-2h x0.9999", "OUT": str(out[1])})
    subscriber.wait_line("ready", timeout=40)
    program = truth + PUBLISHER.replace("SECONDS", str(SECONDS))
    publisher = hosts.spawn(1, program, env={**fake, **publishing, "OUT": str(out[0])})
    publisher.succeed(timeout=SECONDS + 30)
    subscriber.succeed(timeout=30)
    sent = dict(json.loads(out[0].read_text()))
    rows, recorded, received = json.loads(out[1].read_text())
    received = dict(received)
    assert len(rows) > SECONDS * 50
    assert len(recorded) > 0.9 * len(rows)
    for said, share in ((rows, 1000), (recorded, 200)):  # a recorder looks at clocks twice a second
        wrong = [row for row in said if not judge(sent, received, row)]
        known = sorted(row[3] for row in said if row[3] < math.inf)
        print(len(said), len(wrong), *(f"{known[len(known) * part // 100]:.6f}" for part in (50, 99)))
        assert len(wrong) <= max(2, len(said) // share), wrong
        assert len(known) >= 0.99 * len(said)
        assert known[len(known) // 2] < 0.015, "half of the jitter"
