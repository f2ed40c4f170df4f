"""A watchdog: the motors stop when no image has come for 0.3 s, and go on when images come again.

Images that are older than 0.2 s when their turn comes are of no use to the control loop, and are discarded.

    python 15_watchdog.py              with 15_camera.py in another shell
"""

import threading
from contextlib import suppress

import ipcpy as ipc

go = threading.Event()


def drive(camera: ipc.Subscriber) -> None:
    """Control the motors, 50 times a second."""
    images = 0
    with suppress(ipc.ClosedError):
        for _ in ipc.Rate(50):
            image = camera.latest()  # None where there is no new one, or it is too old
            if image is not None and go.is_set():
                images += 1  # steer by it
    print(f"steered by {'some' if images else 'no'} images")


with (
    suppress(KeyboardInterrupt),
    ipc.Subscriber("watchdog/camera", deadline=0.3, max_age=0.2) as camera,
    camera.watch() as watch,
):
    threading.Thread(target=drive, args=(camera,)).start()
    for event in watch:
        match event:
            case ipc.PublisherFound(publisher):
                go.set()
                print(f"go: a camera is there, {publisher.rate:g} images a second", flush=True)
            case ipc.TopicLate():
                go.clear()
                print(f"stop: no image for {event.deadline} s", flush=True)
            case ipc.TopicInTime():
                go.set()
                print("go: images come again", flush=True)
            case ipc.PublisherLost(_, reason):
                go.clear()
                print(f"stop: the camera is gone: {reason}", flush=True)
                break
