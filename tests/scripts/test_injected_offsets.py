"""Offsets put into simulated raw recordings are found: simulate, shift the sensor's table, prepare, check."""

import json

import pandas as pd
import pytest

from scripts import prepare, simulate

OFFSETS_S = (-2.0, 0.7)


def shifted(lines: list[str], offset_s: float) -> str:
    """A table of Ego4D stamped so much earlier, so that the video is late by as much."""
    rows = [line.split(",") for line in lines]
    stamp = rows[0].index("canonical_timestamp_ms")
    for row in rows[1:]:
        if row[stamp] != "NULL":
            row[stamp] = f"{float(row[stamp]) - 1000 * offset_s:.4f}"
    return "\n".join(map(",".join, rows)) + "\n"


@pytest.fixture
def raw(tmp_path):
    """One simulated walk through rooms, with its own dirt, once for each offset."""
    simulate.main(["--out", str(tmp_path), "--ego4d_hours", "0.017", "--mmea_windows_per_class", "0",
                   "--pd_windows_per_class", "0", "--num_workers", "1"])  # fmt: skip
    folder = tmp_path / "ego4d"
    index = json.loads((folder / "ego4d.json").read_text())
    (video,) = (v for v in index["videos"] if v["has_imu"])
    table = (folder / "v2/imu" / f"{video['video_uid']}.csv").read_text().splitlines()
    index["videos"] = []
    for number, offset_s in enumerate(OFFSETS_S):
        uid = f"offset{number}"
        (folder / "v2/imu" / f"{uid}.csv").write_text(shifted(table, offset_s))
        (folder / "v2/full_scale" / f"{uid}.mp4").symlink_to(folder / "v2/full_scale" / f"{video['video_uid']}.mp4")
        index["videos"].append(video | {"video_uid": uid})
    (folder / "ego4d.json").write_text(json.dumps(index))
    return folder


def test_injected_offsets_are_found_and_masked(raw, tmp_path, capsys):
    arguments = ["--format", "ego4d", "--raw", str(raw), "--out", str(tmp_path / "d"), "--frame_size", "64"]
    prepare.main([*arguments, "--num_workers", "1", "--max_offset_s", "0.2"])
    table = pd.read_csv(tmp_path / "d" / "sync.csv", dtype={"id": str})
    for number, offset_s in enumerate(OFFSETS_S):
        rows = table[table["id"].str.startswith(f"offset{number}")]  # a gap cuts it in parts
        told = rows[rows["verdict"] != "cannot tell"]
        assert len(told) and (told["verdict"] == "offset").all()
        assert told["offset_s"].to_numpy() == pytest.approx(offset_s, abs=0.1)
    masked = pd.read_csv(tmp_path / "d" / "masked.csv", dtype={"id": str})
    assert set(masked.loc[masked["reason"] == "video_offset", "id"]) == set(
        table.loc[table["verdict"] == "offset", "id"]
    )
    assert "masked beyond it" in capsys.readouterr().out
