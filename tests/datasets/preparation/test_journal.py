"""The journal: what it knows of sources, to which of them a file belongs, and what killed processes leave."""

from pathlib import Path

import pytest

from datasets.preparation.journal import possible_sources, remove_leftovers


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


def test_leftovers_of_its_own_recordings_are_removed(tmp_path):
    names = ("imu/a.npy", "imu/a_part2.npy", "frames/a.mjpeg", "frames/a.idx.npy", "frames/b_c.npy")
    names += ("quality/a.npy", ".journal/a.json")
    others = ("imu/b.npy", "frames/a2.mjpeg", "frames/b.idx.npy")
    for name in names + others:
        path = tmp_path / f"{name}.12-0a1b2c3d.tmp"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "imu/a.npy").touch()
    remove_leftovers(tmp_path, {"a", "b_c"})
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {f"{name}.12-0a1b2c3d.tmp" for name in others} | {"imu/a.npy"}
