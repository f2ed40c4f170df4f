"""Each example runs, by itself or with its counterpart, in processes of its own."""

from __future__ import annotations

import ast
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ALL = sorted(path.name for path in EXAMPLES.glob("*.py"))
NEED_NUMPY = {"09_images.py", "10_camera_loan.py", "11_detector.py"}


def test_each_is_listed_and_says_how_to_run_it():
    readme = (EXAMPLES / "README.md").read_text()
    for name in ALL:
        assert f"`{name}`" in readme
        docstring = ast.get_docstring(ast.parse((EXAMPLES / name).read_text()))
        assert docstring is not None
        assert f"python {name}" in docstring or name == "05_messages.py"


@pytest.mark.parametrize("subscriber_first", [False, True])
def test_publisher_and_subscriber(spawn, subscriber_first):
    names = ["02_subscriber.py", "01_publisher.py"] if subscriber_first else ["01_publisher.py", "02_subscriber.py"]
    first = spawn(EXAMPLES / names[0], "30")
    second = spawn(EXAMPLES / names[1], "30")
    printed = first.succeed() + second.succeed()
    assert "published 30 messages" in printed
    assert "wave #1: " in printed
    assert "received 30, lost 0" in printed


def test_callback(spawn):
    callback = spawn(EXAMPLES / "03_callback.py", "20")
    spawn(EXAMPLES / "01_publisher.py", "20").succeed()
    printed = callback.succeed()
    assert printed.splitlines()[0] == "#1: {'number': 0, 'value': 0.0}"
    assert printed.endswith("done\n")


def test_asyncio(spawn):
    assert spawn(EXAMPLES / "04_asyncio.py", "20").succeed().splitlines() == [f"{n}² = {n * n}" for n in range(20)]


def test_struct_types_shared_by_both_sides(spawn):
    subscriber = spawn(EXAMPLES / "05_subscriber.py")
    spawn(EXAMPLES / "05_publisher.py", "20").succeed()
    *samples, status = subscriber.succeed().splitlines()
    assert samples == [f"gz = {n / 100:.2f} rad/s" for n in range(20)]
    assert status.startswith("Status(name='left foot', samples=20, temperature=36.59")


def test_a_key_keeps_a_stranger_out(spawn):
    pytest.importorskip("cryptography", reason="needs ipcpy[secure]")
    words, *heard, told = spawn(EXAMPLES / "18_key.py", "3").succeed().splitlines()
    fingerprint = words.removeprefix("the key, in words: ")
    assert heard == [f"laptop: wheel {number}" for number in range(3)]
    assert told.startswith("stranger: no message on 'wheel'")
    assert f"2 nodes here use a key you do not have (fingerprint: {fingerprint})." in told


def test_black_box(spawn, tmp_path):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    import bags

    program = spawn(EXAMPLES / "12_blackbox.py", "50", str(tmp_path / "crash.mcap"))
    assert program.wait() == 1
    assert "RuntimeError: the arm twitched" in program.report()
    assert [message.seq for message in bags.read(tmp_path / "crash.mcap")] == list(range(1, 51))


def test_replay(spawn, tmp_path):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    for _ in range(2):  # the first time it records
        printed = spawn(EXAMPLES / "13_replay.py", "30", str(tmp_path / "joint.mcap")).succeed().splitlines()
        assert printed[:2] == [
            "arm/joint: 30 messages, ipcpy_msgs/msg/Joint",
            "the first is Joint(angle=0.0, torque=0.0)",
        ]
        assert printed[2].startswith("played 30 messages in 0.")
        assert printed[3] == "the node has got Joint(angle=0.0, torque=0.0)"


def test_an_arm_with_a_long_task(spawn):
    arm = spawn(EXAMPLES / "14_arm.py")
    arm.wait_line("the arm is ready", 40)
    printed = spawn(EXAMPLES / "14_operator.py").succeed().splitlines()
    assert printed[:2] == ["0.47 m to go", "0.45 m to go"]
    assert printed[19:] == [
        "0.00 m to go",
        "arrived at 0.50, 0.20",
        "stopped on the way: True, True",
        "the arm says the same: True",
        "'arm/move' answered ValueError: the arm reaches 1 m, and Point(x=3.0, y=0.0) is further",
    ]


def test_watchdog(spawn):
    watchdog = spawn(EXAMPLES / "15_watchdog.py")
    camera = spawn(EXAMPLES / "15_camera.py", "40")
    printed = watchdog.succeed().splitlines()
    assert "40 images, " in camera.succeed()
    assert printed[0] == "go: a camera is there, 30 images a second"
    assert printed[1:3] == ["stop: no image for 0.3 s", "go: images come again"]
    assert printed[-2:] == ["stop: the camera is gone: closed", "steered by some images"]


def test_two_machines(lan):
    hosts = lan(2, env={"IPCPY_DOMAIN": "robot7"})
    laptop = hosts.spawn(2, EXAMPLES / "06_two_machines.py", "subscribe", "20")
    hosts.spawn(1, EXAMPLES / "06_two_machines.py", "publish", "20")
    assert laptop.succeed().splitlines()[:2] == ["battery of h1 at 10.77.0.1:17770", "12.600 V"]


def test_two_machines_without_multicast(lan):
    hosts = lan(2, env={"IPCPY_DOMAIN": "robot7"})
    hosts.multicast(False)
    env = {"IPCPY_PEERS": hosts.ip(1)}
    laptop = hosts.spawn(2, EXAMPLES / "06_two_machines.py", "subscribe", "20", env=env)
    hosts.spawn(1, EXAMPLES / "06_two_machines.py", "publish", "20")
    assert "12.581 V" in laptop.succeed()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_serial(spawn):
    *samples, summary = spawn(EXAMPLES / "07_serial.py", "50").succeed().splitlines()
    assert [line.split(",")[0] for line in samples] == [f"Range(millis={n}" for n in range(50)]
    assert summary.startswith("50 messages forwarded, ")


def test_garbage(spawn):
    ports, received, dropped = spawn(EXAMPLES / "08_garbage.py", "200").succeed().splitlines()
    assert received == "received 200 of 200, lost 0"
    if sys.platform == "linux":
        assert ports != "throwing garbage at the ports []"
        assert dropped != "dropped {}"


def test_images(spawn):
    pytest.importorskip("numpy")
    printed = spawn(EXAMPLES / "09_images.py", "3").succeed().splitlines()
    assert [line.split(",")[0] for line in printed] == [f"#{n}: uint8 (1080" for n in (1, 2, 3)]


def test_camera_and_detector(spawn):
    pytest.importorskip("numpy")
    detector = spawn(EXAMPLES / "11_detector.py", "20")
    published = spawn(EXAMPLES / "10_camera_loan.py", "20").succeed()
    *images, summary = detector.succeed().splitlines()
    assert images == [
        f"#{n}: the bar is at column {16 * n - 16}, {16 * kept} columns further than {kept} images ago"
        for n, kept in zip(range(1, 21), [*range(9), *[9] * 11], strict=True)
    ]
    assert "published 20 images, " in published
    assert summary.startswith("received 20, ")
    assert summary.endswith(" through shared memory, lost 0")


def test_camera_with_parameters(spawn):
    camera = spawn(EXAMPLES / "16_camera.py", "1000000")
    printed = spawn(EXAMPLES / "16_gain.py").succeed().splitlines()
    *turned, refused, last = printed
    assert [line.split(": ")[1] for line in turned[:2]] == ["gain 2", "gain 4"]
    assert refused == "mode='manual', gain=100.0 of 'camera' was refused: the sensor amplifies up to 16 times"
    assert last.startswith("{'exposure': 0.005, 'gain': ") and last.endswith(", 'mode': 'manual'}")
    camera.signal(signal.SIGINT)
    assert camera.wait() == 0


def test_the_same_program_twice_under_two_namespaces(spawn):
    printed = spawn(EXAMPLES / "17_robot.py", "3").succeed().splitlines()
    sides = [("left", 1), ("right", -1)]
    assert printed == [f"{side}/speed: {sign * n} rad/s" for n in range(3) for side, sign in sides] + [
        "both have stopped"
    ]


@pytest.mark.parametrize(
    "programs",
    [
        ["02_subscriber.py", "01_publisher.py"],
        ["03_callback.py", "01_publisher.py"],
        ["04_asyncio.py"],
        ["05_subscriber.py", "05_publisher.py"],
        ["06_two_machines.py subscribe", "06_two_machines.py publish"],
        ["07_serial.py"],
        ["08_garbage.py"],
        ["09_images.py"],
        ["11_detector.py", "10_camera_loan.py"],
        ["15_watchdog.py", "15_camera.py"],
        ["16_camera.py"],
        ["17_robot.py"],
    ],
    ids=lambda programs: programs[0],
)
def test_ctrl_c_is_a_good_end(spawn, programs):
    if "07_serial.py" in programs and sys.platform == "win32":
        pytest.skip("there are no pseudo-terminals")
    if NEED_NUMPY.intersection(programs):
        pytest.importorskip("numpy")
    running = []
    for program in programs:
        name, *role = program.split()
        running.append(spawn(EXAMPLES / name, *role, "1000000"))
    running[0].wait_line("", 40)  # it has received something, or is about to
    for process in running:
        process.signal(signal.SIGINT)
    for process in running:
        process.succeed()
        assert "Traceback" not in process.stderr


def test_the_file_of_a_bridge_says_what_it_seems_to_say():
    import ipcpy as ipc
    from ipcpy.bridges.mqtt.options import check_options

    config = ipc.BridgeConfig.read(EXAMPLES / "bridge.toml")
    rules = ipc.Rules(config.topics, exclude=config.exclude, prefix=config.prefix, rate=config.rate)
    assert rules.beyond("camera/left") == "robot7/camera/left"
    assert rules.beyond("camera/raw") is None
    assert rules.here("fleet/time") == "fleet/time"
    options = check_options(config.engines["mqtt"], {})
    assert (options.format("camera/left"), options.format("imu")) == ("raw", "json")


def test_the_unit_of_a_bridge_runs_a_command_that_there_is_and_waits_until_it_is_ready():
    from click.testing import CliRunner

    from ipcpy.cli.program import program

    unit = (EXAMPLES / "ipcpy-bridge@.service").read_text()
    lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    assert (lines["Type"], lines["Restart"], lines["RestartPreventExitStatus"]) == ("notify", "always", "2")
    for engine in ("mqtt", "zenoh"):
        words = lines["ExecStart"].replace("%i", engine).split()[1:]
        result = CliRunner().invoke(program, words)
        assert result.exit_code == 2, result.output
        assert f"/etc/ipcpy/{engine}.toml cannot be read: No such file or directory" in result.output


def test_systemd_finds_nothing_wrong_with_the_unit():
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze not found (Debian: apt-get install systemd)")
    command = [analyze, "verify", "--man=no", str(EXAMPLES / "ipcpy-bridge@.service")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30)
    known = ("is not executable", "Failed to", "Operation not permitted")  # there is no such program here
    wrong = [line for line in found.stderr.splitlines() if "ipcpy-bridge" in line and not any(k in line for k in known)]
    assert wrong == []
