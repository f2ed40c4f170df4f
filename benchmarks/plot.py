"""Ratios as a picture: for each row how many times better or worse than the floor everyone is. Needs matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .figures import Results
from .report import order
from .rows import Row


def check() -> None:
    """Say so at once where matplotlib is missing, and not after the measurement."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install 'ipcpy[bench]'")


def draw(rows: Sequence[Row], results: Results, path: Path) -> None:
    """Draw a panel a row: bars of the ratio to the floor, on a logarithmic scale, with the extremes of the rounds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row.floor and not row.upright and order(row, results)]
    if not shown:
        sys.exit("no row with a ratio was measured: nothing to draw")
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    figure, panels = pyplot.subplots(lines, columns, figsize=(7 * columns, 3.2 * lines), squeeze=False)
    for panel in panels.flat[len(shown) :]:
        panel.axis("off")
    for panel, row in zip(panels.flat, shown, strict=False):
        _panel(panel, row, results)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _panel(panel: object, row: Row, results: Results) -> None:
    from typing import Any

    axes: Any = panel
    metric = row.metrics[0]
    spreads = {name: results.ratio(row.name, name, row.floor, metric.key) for name in order(row, results)}
    known = {name: it for name, it in spreads.items() if it is not None}
    names = list(reversed(known))
    medians = [known[name].median for name in names]
    errors = [
        [known[name].median - known[name].low for name in names],
        [known[name].high - known[name].median for name in names],
    ]
    colors = [
        "#999999" if name == row.floor else "#1f6fb4" if name.startswith("ipcpy") else "#d8b26e" for name in names
    ]
    axes.barh(names, medians, xerr=errors, color=colors, error_kw={"elinewidth": 0.8})
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_title(row.title, fontsize=9)
    axes.set_xlabel(f"{metric.title}, × {row.floor} ({'more' if metric.higher else 'less'} is better)", fontsize=8)
    axes.tick_params(labelsize=8)
