"""``ipcpy doctor``: what is wrong with network and settings. Knows how findings are shown; not how they are made."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from shutil import get_terminal_size
from textwrap import wrap

import click

import ipcpy as ipc

from .endings import PROBLEMS, WARNINGS
from .jsonform import dumps, to_json
from .options import SECONDS, as_json, node_options
from .render import dim, heading, plural, printable, warning

__all__ = ["doctor"]

WIDTH = 100  # characters of a line, where the terminal has as many
NARROWEST = 40
CODES = {"problem": PROBLEMS, "warning": WARNINGS}


@click.command(short_help="Find out why nothing arrives.")
@click.argument("hosts", nargs=-1, metavar="[HOST[:PORT]]...")
@click.option("--peer", "named", multiple=True, metavar="HOST[:PORT]", help="A host to ask; the same as HOST.")
@click.option("--timeout", type=SECONDS, default=2.2, show_default=True, help="Seconds to listen for others.")
@as_json
@node_options
@click.pass_context
def doctor(ctx: click.Context, hosts: tuple[str, ...], named: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Examine settings, network interfaces and this host, and what passes to other hosts: those found, and each HOST.

    Says in sentences what is wrong and what to do, the worst first; takes about three seconds. Nothing is published.
    With --json a line is a finding: level (problem, warning, note, ok), code, about, text, advice, data.

    Exit code 0 if all is well (notes are), 4 with warnings, 5 with problems.

    \b
    Example:
      ipcpy doctor
      ipcpy doctor robot7.local
      ipcpy doctor --json | jq -r 'select(.level == "problem").text'
    """
    if not os.environ.get("IPCPY_LOG"):
        logging.getLogger("ipcpy").addHandler(logging.NullHandler())  # the findings say it better
    found = ipc.diagnose((*hosts, *named), timeout=timeout, **(ctx.obj or {}))
    for finding in found.findings:
        if as_json:
            click.echo(dumps(to_json(asdict(finding))))
        else:
            click.echo("\n".join(_lines(finding)))
    if not as_json:
        click.echo(_sum(found))
    ctx.exit(CODES.get(found.level, 0))


def _lines(finding: ipc.Finding) -> Iterator[str]:
    width = max(NARROWEST, min(WIDTH, get_terminal_size((WIDTH, 24)).columns))
    text = wrap(printable(finding.text), width - 9) or [""]
    bad = finding.level in CODES
    mark = finding.level.ljust(9)
    mark = click.style(mark, fg="red", bold=True) if finding.level == "problem" else warning(mark) if bad else dim(mark)
    yield mark + text[0]
    yield from (" " * 9 + line for line in text[1:])
    yield from (f"{' ' * 11}{dim('>')} {printable(line)}" for line in finding.advice)


def _sum(found: ipc.Diagnosis) -> str:
    counts = {level: sum(each.level == level for each in found.findings) for level in CODES}
    if not any(counts.values()):
        return heading("All is well.")
    return heading(f"{plural(counts['problem'], 'problem')}, {plural(counts['warning'], 'warning')}.")
