"""The journal: what killed processes leave."""

from datasets.preparation.journal import remove_temporary_files


def test_half_written_files_are_removed(tmp_path):
    whole = ("imu/a.npy", "quality/a.npy", "frames/a.mjpeg", "frames/b_c.idx.npy", ".journal/a.json")
    for name in whole:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        (tmp_path / f"{name}.12-0a1b2c3d.tmp").touch()
    remove_temporary_files(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(whole)
