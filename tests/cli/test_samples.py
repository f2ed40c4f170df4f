"""What the demo publishes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click
import pytest

from ipcpy.cli.samples import computer, rows

TEXT = """Time (s),Gyroscope X (deg/s),class,,Time (s),2nd
0.5,1,2,3,4,5
0.75,1e3,-2,nan,inf,0.1
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "imu.csv").write_text(text)
        return str(tmp_path / "imu.csv")

    return write


def test_columns_become_fields_and_the_first_one_the_pace(write):
    samples = rows(write(TEXT), None)
    (first, row), (second, _) = samples.supply
    assert row._fields == ("time", "gyroscope_x", "class_3", "column_4", "time_5", "column_6")
    assert (first, second) == (0.0, 0.25)
    assert row == (0.5, 1, 2, 3, 4, 5)
    assert samples.library.decode(samples.library.encode(row)) == row


def test_a_rate_overrides_the_pace(write):
    assert [due for due, _ in rows(write(TEXT), 10.0).supply] == [0.0, 0.1]


@pytest.mark.parametrize("first", ["5\n4", "0\n1000", "nan\nnan"])
def test_a_first_column_that_is_no_time_gives_no_pace(write, first):
    assert [due for due, _ in rows(write(f"x\n{first}\n"), None).supply] == [0.0, 0.01]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no rows"),
        ("a,b\n", "no rows"),
        ("a\n1\nx\n", "line 3: could not convert"),
        ("a,b\n1\n", "line 2: 1 values"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(write, text, problem):
    with pytest.raises(click.ClickException, match=problem):
        rows(write(text), None)


def test_samples_of_this_computer():
    samples = computer(50.0)
    taken = list(islice(samples.supply, 3))
    assert [due for due, _ in taken] == [0.0, 0.02, 0.04]
    assert taken[0][1].uptime < taken[2][1].uptime
    assert 0 <= taken[0][1].busy <= 1
    assert samples.library.decode(samples.library.encode(taken[0][1])) == taken[0][1]


def test_samples_where_there_is_no_proc(monkeypatch):
    def refuse(*_args, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.delattr("os.getloadavg", raising=False)
    _, sample = next(computer(1.0).supply)
    assert (sample.load, sample.memory, sample.switches) == (0, 0, 0)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(click.ClickException, match="is no CSV file of numbers"):
        rows(str(tmp_path / "binary"), None)
