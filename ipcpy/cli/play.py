"""``ipcpy play``: publishes a recording again. Knows keys, the bar and the summary; what is played is the Player's."""

from __future__ import annotations

import math
import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .keys import keys
from .moments import span_options
from .opening import opened
from .options import SECONDS, as_json, node_options, open_node
from .render import duration, plural, printable, warning

__all__ = ["play"]

LINGER = 0.1  # s that publishers stay after the last message, so that none meets a subscriber that let go
REFRESH = 0.1  # s between two pictures of the bar
BAR = 30  # characters
FASTEST, SLOWEST = 1024.0, 1 / 1024  # rates that keys reach
_KEY = re.compile(r"\x1b[\[O].|.", re.DOTALL)  # an arrow is three characters
_HELP = "space pause   s step   + - faster, slower   q quit"


def _rate(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    if text in ("max", "inf"):
        return math.inf
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not rate > 0:
        raise click.BadParameter(f"{text!r:.40} is no rate: 0.5, 2, or 'max' for no pauses")
    return rate


def _remap(_ctx: click.Context, _param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for pair in pairs:
        old, sign, new = pair.partition(":=")
        if not (old and sign and new):
            raise click.BadParameter(f"{pair!r:.80} is no remapping: write OLD:=NEW, such as imu:=replay/imu")
        made[old] = new
    return made


@click.command(short_help="Publish a recording again.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@span_options
@click.option("-r", "--rate", default="1", callback=_rate, help="How much faster: 0.5, 2, or 'max'.  [default: 1]")
@click.option("-l", "--loop", is_flag=True, help="Begin again when it is over.")
@click.option("--remap", multiple=True, metavar="OLD:=NEW", callback=_remap, help="Play a topic under another name.")
@click.option("--wait", type=click.IntRange(min=0), default=0, help="First wait for so many subscribers of each topic.")
@click.option("--timeout", type=SECONDS, default=5.0, show_default=True, help="Seconds to wait for them.")
@click.option(
    "--keep",
    type=click.IntRange(0, 1_000_000),
    help="Late subscribers first get so many messages.  [default: as it was]",
)
@click.option("-p", "--pause", is_flag=True, help="Begin paused.")
@as_json
@node_options
@click.pass_context
def play(ctx: click.Context, /, files: tuple[str, ...], pause: bool, as_json: bool, **options: Any) -> None:
    """Publish the messages of a recording again, at the pace at which they came.

    They keep their codecs and schemas, byte for byte, and as many publishers, reliable and latched as those were.
    FILEs of one recording are played as one. MCAP files of others are played too: CDR of ROS 2, JSON and Protocol
    Buffers as named tuples or dicts.

    At a terminal: space pauses, s plays one message, + and - change the pace, q quits.

    \b
    Example:
      ipcpy play drive.mcap
      ipcpy play drive.mcap -t imu -t 'camera/**' --start 1:30 --rate 0.5
      ipcpy play drive.mcap --remap imu:=replay/imu --loop
    """
    wait, timeout = options.pop("wait"), options.pop("timeout")
    options["topics"] = options["topics"] or None
    with opened(*files) as bag:
        with open_node(ctx) as node, ipc.Player(bag, node=node, **options) as player:
            _say_notes(bag, player)
            if wait:
                _wait(player, wait, timeout)
            if pause:
                player.pause()
            began = time.monotonic()
            with keys() as key:
                bar = _Bar(player) if sys.stderr.isatty() and not as_json else None
                if key is not None and bar is not None:
                    click.echo(_HELP, err=True)
                _play(player, key, bar)
            time.sleep(LINGER if player.stats.handed else 0.0)
            _summarize(player, time.monotonic() - began - LINGER, as_json)


def _say_notes(bag: ipc.Bag, player: ipc.Player) -> None:
    """Say which topics are published as bytes, and why."""
    played = set(player.topics)
    for topic in bag.topics():
        if topic.note and topic.name in played:
            click.echo(warning(printable(f"{topic.name}: {topic.note}")), err=True)


def _wait(player: ipc.Player, count: int, timeout: float) -> None:
    try:
        player.wait_for_subscribers(count, timeout)
    except ipc.RecvTimeout as error:
        raise NothingFound(f"{error} Without --wait it is played to whoever is there.") from None


def _play(player: ipc.Player, key: Callable[[float], str] | None, bar: _Bar | None) -> None:
    """Play to the end, or until somebody presses q."""
    try:
        for seconds in player.steps():
            if bar is not None:
                seconds = min(seconds, bar.left())
            if key is None:
                time.sleep(seconds)
            elif not _obey(player, key(seconds)):
                return
            if bar is not None:
                bar.show()
    finally:
        if bar is not None:
            bar.clear()


def _obey(player: ipc.Player, pressed: str) -> bool:
    """Do what keys mean; False where that is to end."""
    for key in _KEY.findall(pressed):
        if key == " ":
            if player.paused:
                player.resume()
            else:
                player.pause()
        elif key in ("s", ".", "\x1b[C", "\x1bOC"):
            player.step()
        elif key in ("+", "-") and player.rate != math.inf:
            player.rate = min(FASTEST, player.rate * 2) if key == "+" else max(SLOWEST, player.rate / 2)
        elif key in ("q", "Q"):
            return False
    return True


class _Bar:
    """The line that shows how far it is."""

    def __init__(self, player: ipc.Player) -> None:
        self._player = player
        self._due = 0.0

    def left(self) -> float:
        """Return the seconds until it is to be shown again."""
        return max(0.0, self._due - time.monotonic())

    def show(self) -> None:
        """Show it, if it is time."""
        if self.left():
            return
        self._due = time.monotonic() + REFRESH
        player = self._player
        at, whole = player.position, player.duration
        done = round(BAR * min(1.0, at / whole)) if whole else BAR
        rate = "max" if player.rate == math.inf else f"{player.rate:g}x"
        state = "paused" if player.paused else rate
        text = (
            f"{at:.1f} of {whole:.1f} s [{'#' * done}{'-' * (BAR - done)}] {state}  {player.stats.published:,} messages"
        )
        width = shutil.get_terminal_size().columns - 1  # what is longer would not be overwritten
        click.echo(f"\r{text[:width]}\x1b[K", nl=False, err=True)

    def clear(self) -> None:
        """Take it away."""
        click.echo("\r\x1b[K", nl=False, err=True)


def _summarize(player: ipc.Player, took: float, as_json: bool) -> None:
    stats, topics = player.stats, player.topics
    if as_json:
        told = {
            "published": stats.published,
            "handed": stats.handed,
            "skipped": stats.skipped,
            "late": stats.late,
            "worst": stats.worst,
            "rounds": stats.rounds,
            "seconds": max(0.0, took),
            "topics": list(topics),
        }
        click.echo(dumps(told))
        return
    where = printable(topics[0]) if len(topics) == 1 else plural(len(topics), "topic")
    times = plural(stats.handed, "time")
    text = f"played {plural(stats.published, 'message')} on {where}, handed to subscribers {times}"
    if stats.late:
        text += f"; {stats.late:,} more than 1 ms late, the latest {duration(stats.worst)}"
    if stats.skipped:
        text += f"; {stats.skipped:,} could not be made again"
    click.echo(text, err=True)
    if stats.published and not stats.handed:
        click.echo("nobody subscribed to any of it: --wait 1 waits for subscribers", err=True)
