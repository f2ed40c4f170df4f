"""Results as Markdown. The ratio to the floor, measured in the same round, is the main figure."""

from __future__ import annotations

from collections.abc import Sequence

from .figures import Metric, Results, Spread, Target, met
from .rows import Row


def number(value: float) -> str:
    """Write a number with three digits that matter.

    >>> number(0.1234), number(12.34), number(1234.5)
    ('0.123', '12.3', '1,234')
    """
    if value != value:
        return "–"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def spread(it: Spread | None, *, extremes: bool = True) -> str:
    """Write a median, and the extremes where there are several rounds."""
    if it is None:
        return "–"
    if not extremes or it.low == it.high:
        return number(it.median)
    return f"{number(it.median)} ({number(it.low)}–{number(it.high)})"


def order(row: Row, results: Results) -> list[str]:
    """Return the adapters that were measured: floor, ipcpy, then the peers."""
    measured = results.rounds.get(row.name, {})
    return [name for name in (*row.adapters, *row.peers) if name in measured]


def verdicts(rows: Sequence[Row], results: Results) -> str:
    """Write the table of targets."""
    lines = ["| work | figure | measured | target | |", "|---|---|---|---|---|"]
    for row in rows:
        for metric in row.metrics:
            for target in metric.targets:
                if target.adapter in results.rounds.get(row.name, {}):
                    lines.append(_verdict(row, results, metric, target))
    return "\n".join(lines)


def _verdict(row: Row, results: Results, metric: Metric, target: Target) -> str:
    sign = "≥" if metric.higher else "≤"
    absolute = spread(results.figure(row.name, target.adapter, metric.key), extremes=False)
    bound = number(target.bound)
    if target.ratio:
        ratio = spread(results.ratio(row.name, target.adapter, row.floor, metric.key))
        measured, wanted = f"**{ratio}** × {row.floor} ({absolute} {metric.unit})", f"{sign} {bound} ×"
    else:
        measured, wanted = f"**{absolute}** {metric.unit}", f"{sign} {bound} {metric.unit}"
    if target.lead:
        wanted += ", ahead of the peers"
    verdict = met(results, row.name, metric, target, row.floor, list(row.peers))
    return f"| {row.title} | {metric.title}, {target.adapter} | {measured} | {wanted.rstrip()} | {verdict} |"


def overview(rows: Sequence[Row], results: Results) -> str:
    """Write one table of everyone's main figures, as multiples of the floor's and by themselves."""
    shown = [row for row in rows if row.floor and not row.upright and row.name in results.rounds]
    names = list(dict.fromkeys(name for row in shown for name in order(row, results)))
    heads = [f"`{row.name}`: {row.metrics[0].title}, {row.metrics[0].unit}" for row in shown]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | {' | '.join(_main_figure(row, results, name) for row in shown)} |")
    return "\n".join(lines)


def _main_figure(row: Row, results: Results, name: str) -> str:
    key = row.metrics[0].key
    figure, ratio = results.figure(row.name, name, key), results.ratio(row.name, name, row.floor, key)
    if figure is None:
        return "failed" if name in results.rounds[row.name] else ""
    if name == row.floor:
        return spread(figure, extremes=False)
    return f"**{spread(ratio, extremes=False)} ×** {spread(figure, extremes=False)}"


def table(row: Row, results: Results) -> str:
    """Write one row's table: an adapter a line, or a figure a line where the row is upright."""
    if row.upright:
        return _upright(row, results)
    units = [f"{metric.title}{f', {metric.unit}' if metric.unit else ''}" for metric in row.metrics]
    head = [*([f"× {row.floor}: {row.metrics[0].title}"] if row.floor else []), *units]
    lines = [f"### {row.title} (`{row.name}`)", "", f"| | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for name in order(row, results):
        lines.append(f"| {name} | {' | '.join(_cells(row, results, name))} |")
    return "\n".join(lines)


def _upright(row: Row, results: Results) -> str:
    names = order(row, results)
    lines = [f"### {row.title} (`{row.name}`)", "", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for metric in row.metrics:
        cells = [spread(results.figure(row.name, name, metric.key)) for name in names]
        lines.append(f"| {metric.title}{f', {metric.unit}' if metric.unit else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(row: Row, results: Results, name: str) -> list[str]:
    failure = results.failures.get(row.name, {}).get(name)
    figures = [results.figure(row.name, name, metric.key) for metric in row.metrics]
    if not any(figures):
        return [f"failed: {failure}".replace("|", "/"), *[""] * (len(row.metrics) - (not row.floor))]
    cells = [spread(figure) for figure in figures]
    if row.floor:
        ratio = results.ratio(row.name, name, row.floor, row.metrics[0].key)
        cells.insert(0, f"**{spread(ratio)}**" if name != row.floor else "1")
    return cells


def markdown(rows: Sequence[Row], results: Results) -> str:
    """Write everything."""
    about = results.about
    parts = [
        "## Targets",
        f"Rounds: {about['rounds']}, all adapters of a row in random order in each; median (lowest–highest). The ratio"
        f" is that of a round's figure to the floor's in the same round. ipcpy {about['ipcpy']}, Python"
        f" {about['python']}, {about['system']}, {about['cores']} cores, net.core.rmem_max {about['rmem_max']}.",
        verdicts(rows, results),
        "## Everyone",
        "The main figure of each row, as a multiple of the floor's in bold.",
        overview(rows, results),
        "## Rows",
        *(table(row, results) for row in rows if row.name in results.rounds),
    ]
    if about.get("peers"):
        parts.append("Peers: " + ", ".join(f"{name} {version}" for name, version in about["peers"].items()) + ".")
    skipped = [f"- {what}: {why}" for what, why in results.skipped.items()]
    failed = [f"- {row}, {name}: {why}" for row, each in results.failures.items() for name, why in each.items()]
    if skipped:
        parts.append("Skipped:\n\n" + "\n".join(skipped))
    if failed:
        parts.append("Failed in at least one round:\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"
