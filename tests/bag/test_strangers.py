"""Files that are no MCAP files are told by their first bytes, and folders by what is in them."""

from __future__ import annotations

import pytest

from ipcpy.bag.strangers import what_instead, what_to_open


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"#ROSBAG V2.0\n", "a bag of ROS 1"),
        (b"SQLite format 3\0", "a database of SQLite, as of a ROS 2 bag"),
        (b"\x28\xb5\x2f\xfd1234", "unpack it first (zstd -d)"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b'{"topic": "imu"}', "'ipcpy pub --pace' publishes them"),
        (bytes(16), "it begins with zeros"),
        (b"hello world", "it begins with 68 65 6c 6c 6f 20 77 6f"),
    ],
)
def test_a_file_is_told_by_its_first_bytes(start, expected):
    assert expected in what_instead(start)


def test_a_folder_names_what_can_be_opened(tmp_path):
    assert what_to_open(tmp_path) == "it is a folder, and no MCAP file (.mcap) is in it"
    (tmp_path / "metadata.yaml").touch()
    (tmp_path / "bag_0.db3").touch()
    assert "it is a folder with bag_0.db3: 'rosbags-convert'" in what_to_open(tmp_path)
    (tmp_path / "bag_0.mcap").touch()
    assert what_to_open(tmp_path) == "it is a folder: name the files in it (bag_0.mcap)"
