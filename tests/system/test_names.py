"""A program that knows nothing of namespaces, twice, in processes: topics, services and parameters of each apart."""

from __future__ import annotations

import ipcpy as ipc

ARM = """
    import sys
    import ipcpy as ipc
    with (
        ipc.Publisher("angle", keep=1) as angle,
        ipc.Service("move", lambda request: angle.publish(request.data) and request.data),
        ipc.Parameters("arm", speed=1.0) as params,
        ipc.Subscriber("/clock") as clock,
    ):
        print("ready", flush=True)
        print(clock.recv(timeout=20).data, params.speed, flush=True)
        sys.stdin.read()
"""


def test_the_same_program_twice(spawn):
    left = spawn(ARM, env={"IPCPY_NAMESPACE": "left"})
    right = spawn(ARM, env={"IPCPY_NAMESPACE": "right", "IPCPY_REMAP": "angle:=joint/angle,move:=/go,arm:=limb"})
    for arm in (left, right):
        arm.wait_line("ready")
    with (
        ipc.Subscriber("left/angle") as left_angle,
        ipc.Subscriber("right/joint/angle") as right_angle,
        ipc.Client("left/move") as left_move,
        ipc.Client("go") as right_move,
        ipc.Parameters("left/arm") as left_params,
        ipc.Parameters("right/limb") as right_params,
        ipc.Publisher("clock", keep=1) as clock,
    ):
        left_angle.wait_for_publishers(timeout=10)
        right_angle.wait_for_publishers(timeout=10)
        assert left_move.call(1, timeout=10) == 1
        assert right_move.call(2, timeout=10) == 2
        assert (left_angle.recv(timeout=10).data, right_angle.recv(timeout=10).data) == (1, 2)
        left_params.speed = 3.0
        right_params.speed = 4.0
        clock.publish(7)
        left.wait_line("^7 3.0$")
        right.wait_line("^7 4.0$")


def test_a_call_of_nobody_names_what_was_asked_for_and_what_it_became(spawn):
    program = 'import ipcpy as ipc\nipc.Client("move").call(1, timeout=0.3)'
    done = spawn(program, env={"IPCPY_NAMESPACE": "left", "IPCPY_REMAP": "move:=go"})
    assert done.wait() == 1
    assert "no server of 'left/go' (asked for as 'move', in namespace 'left', remapped) within 0.3 s" in done.stderr
