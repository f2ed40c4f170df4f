"""Books in recordings: the last ones count, and what is none does no harm."""

from __future__ import annotations

import json

import tapes
from ipcpy.bag.bag import Bag
from ipcpy.bag.books import last_books, lost_by_topic, merged_books
from ipcpy.bag.form import BOOKS
from ipcpy.bag.opened import Opened


def told(topic="imu", received=10, **lost):
    return json.dumps({"topic": topic, "received": received, "lost": lost})


def write(path, *books):
    with tapes.tape(path) as tape:
        tape.add("imu", 1, 0)
        for each in books:
            tape.writer.add_metadata(BOOKS, each)
            tape.writer.add_metadata("about", {"robot": "seven"})
    return path


def test_the_last_ones_of_a_file_count(tmp_path):
    file = Opened(write(tmp_path / "x.mcap", {"a": told(received=1)}, {"a": told(received=2), "b": told()}))
    assert last_books(file) == {"a": told(received=2), "b": told()}
    file.close()


def test_of_several_files_those_that_go_furthest_count(tmp_path):
    files = [
        Opened(write(tmp_path / f"{n}.mcap", {"a": told(received=received, network=received), "b" * n: told()}))
        for n, received in enumerate((5, 9, 3))
    ]
    assert merged_books(files)["a"] == told(received=9, network=9)
    assert set(merged_books(files)) == {"a", "", "b", "bb"}
    for file in files:
        file.close()


def test_losses_are_added_up_by_topic_and_cause():
    books = {
        "a": told(network=2, inbox=1),
        "b": told(network=3),
        "c": told("gps", kernel=4),
        "d": told("gps", kernel=0),
    }
    assert lost_by_topic(books) == {"imu": {"network": 5, "inbox": 1}, "gps": {"kernel": 4}}


def test_what_is_no_book_is_passed_over():
    for wrong in ("", "{", "5", '{"lost": 5}', '{"lost": {"network": "many"}}', "[" * 100_000):
        assert lost_by_topic({"a": wrong}) == {}
    assert lost_by_topic({"a": '{"lost": {"network": 2}}'}) == {"": {"network": 2}}


def test_a_topic_of_a_bag_says_what_was_lost_and_so_does_a_part_of_it(tmp_path):
    with Bag(write(tmp_path / "x.mcap", {"a": told(network=1)}, {"a": told(network=7)})) as bag:
        assert bag.topics()[0].lost == {"network": 7}
        bag.save(tmp_path / "new.mcap")
    with Bag(tmp_path / "new.mcap") as bag:
        assert bag.topics()[0].lost == {"network": 7}


def test_a_file_without_any_has_none(tmp_path):
    file = Opened(write(tmp_path / "x.mcap"))
    assert last_books(file) == {}
    file.close()


def test_what_the_recorder_said_of_the_file_is_told(tmp_path):
    with tapes.tape(tmp_path / "x.mcap") as tape:
        tape.writer.add_metadata("about", {"robot": "seven"})
        tape.writer.add_metadata("ipcpy", {"host": "robot7", "reason": "the arm twitched"})
    with Bag(tmp_path / "x.mcap") as bag:
        assert bag.about == {"library": "ipcpy test", "host": "robot7", "reason": "the arm twitched"}


def test_others_say_their_name_at_most(tmp_path):
    with tapes.foreign(tmp_path / "x.mcap"):
        pass
    with Bag(tmp_path / "x.mcap") as bag:
        assert bag.about == {"library": "another"}
