"""The journal: what it knows of sources, and to which of them a file belongs."""

from pathlib import Path

import pytest

from datasets.journal import possible_sources


@pytest.mark.parametrize(
    "file, sources",
    [
        ("imu/a.npy", {"a"}),
        ("frames/a.idx.npy", {"a", "a.idx"}),
        ("frames/a_part12.mjpeg", {"a", "a_part12"}),
        ("frames/a_part2.idx.npy.12-0a1b.tmp", {"a", "a_part2", "a_part2.idx"}),
        (".journal/a.b.json.12-0a1b.tmp", {"a.b"}),
        ("imu/my own.npy", set()),
        (".journal/.probe", set()),
    ],
)
def test_the_sources_of_a_file_follow_from_its_name(file, sources):
    assert possible_sources(Path(file)) == sources
