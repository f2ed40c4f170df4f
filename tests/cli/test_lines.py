"""What is published of arguments and lines."""

from __future__ import annotations

import io
import json

import click
import pytest

from ipcpy.cli.lines import Item, read_data, read_lines

RECORD = {"topic": "imu", "seq": 1, "sent_ns": 5, "received_ns": 6, "publisher": "ab", "codec": "msgpack", "data": 1}


@pytest.fixture
def lines_of(monkeypatch):
    def lines_of(*lines):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return read_lines()

    return lines_of


@pytest.mark.parametrize(
    ("text", "data"),
    [("5", 5), ("-0.5", -0.5), ("plain text", "plain text"), ('{"a": null}', {"a": None}), ("-.5", "-.5"), ("", "")],
)
def test_data_are_json_or_else_text(text, data):
    assert read_data(text) == data


@pytest.mark.parametrize(
    "text", ["{broken", "[1, 2", '"open', "[" * 100_000, '{"$float": "five"}', "9" * 5_000, "-" + "9" * 5_000]
)
def test_what_begins_like_json_and_is_none_is_wrong_usage(text):
    with pytest.raises(click.UsageError) as caught:
        read_data(text)
    assert len(str(caught.value)) < 300


def test_each_line_is_a_message_and_blank_ones_are_none(lines_of):
    assert list(lines_of("1", "", "  ", "two", {"a": 3})) == [
        Item(1, line=1),
        Item("two", line=4),
        Item({"a": 3}, line=5),
    ]


def test_a_recorded_line_knows_where_it_came_from(lines_of):
    assert list(lines_of(RECORD)) == [Item(1, "msgpack", sent_ns=5, topic="imu", line=1)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "neither JSON nor plain text"),
        ({**RECORD, "codec": "pickle"}, "codec 'pickle' is not one of ipcpy's"),
        ({**RECORD, "codec": ["x"]}, "is not one of ipcpy's"),
        ({**RECORD, "topic": 5}, "its topic is 5"),
        ({**RECORD, "codec": "struct"}, "a struct message without its id"),
        ({**RECORD, "codec": "struct", "struct": [1]}, "a struct message without its id"),
        ({**RECORD, "data": {"$bytes": "?"}}, "base64"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_line_that_is_none_is_named_and_those_before_it_are_published(lines_of, line, words):
    items = lines_of("1", line)
    assert next(items).data == 1
    with pytest.raises(click.ClickException) as caught:
        next(items)
    assert caught.value.format_message().startswith("line 2 of standard input: ")
    assert words in caught.value.format_message()


def test_no_standard_input_is_wrong_usage(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(click.UsageError, match="standard input is closed"):
        read_lines()
