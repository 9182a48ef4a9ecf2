"""``--skip_windows``: a list of bad Ego4D windows, from the file to the windows that are read."""

import json

import numpy as np
import pytest

from configs.constants import IMU_RATE_HZ, WINDOW_SAMPLES
from datasets.preparation.listed_windows import listed_rows, read_listed
from datasets.preparation.verify import verify
from datasets.store import Store
from datasets.windows import list_windows
from scripts import prepare
from tests.datasets.formats.test_ego4d import HEADER
from tests.videos import write_video

RATE = 200


def write_ego4d(raw):
    """Three videos of 31 s: ``late`` begins 2.51 s after its video and has a hole from 13.5 to 14 s."""
    rng = np.random.default_rng(0)
    video = write_video(raw / "v2/full_scale/whole.mp4", 31 * 25, 25)
    (raw / "v2/imu").mkdir()
    for uid, begin_s in (("whole", 0.0), ("late", 2.51), ("short", 28.0)):
        time_s = np.arange(round(begin_s * RATE), 31 * RATE) / RATE
        if uid == "late":
            time_s = time_s[(time_s < 13.5) | (time_s >= 14)]
        imu = rng.standard_normal((len(time_s), 6)) * 0.3 + [0, 0, 0, 0, 9.8, 0]
        rows = [f"0,{1000 * t:.3f},{1000 * t:.3f}," + ",".join(f"{x:.5f}" for x in v) + "\n"
                for t, v in zip(time_s, imu, strict=True)]  # fmt: skip
        (raw / f"v2/imu/{uid}.csv").write_text(HEADER + "".join(rows))
        (raw / f"v2/full_scale/{uid}.mp4").write_bytes(video.read_bytes())
    videos = [{"video_uid": uid, "has_imu": True} for uid in ("whole", "late", "short")]
    (raw / "ego4d.json").write_text(json.dumps({"videos": videos}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    write_ego4d(folder / "raw")
    return folder


def run(folder, listed=None):
    words = ["--format", "ego4d", "--raw", str(folder / "raw"), "--out", str(folder / "out"), "--frame_size", "16"]
    if listed is not None:
        (folder / "bad.json").write_text(json.dumps(listed))
        words += ["--skip_windows", str(folder / "bad.json")]
    (folder / "limits.yaml").write_text("max_frozen_share: 1\n")
    prepare.main([*words, "--num_workers", "1", "--quality_limits", str(folder / "limits.yaml")])
    return Store(folder / "out")


def kept(store, listed):
    """Ids of all windows, less those with a sample in a listed stretch, by every sample's time in the video."""
    begins = {i: (source, json.loads(notes)["start_s"]) for i, source, notes in
              store.recordings[["id", "source", "notes"]].itertuples(index=False)}  # fmt: skip
    found = []
    for recording, samples in store.recordings[["id", "samples"]].itertuples(index=False):
        for start in range(0, samples - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
            source, begin_s = begins[recording]
            times = [begin_s + (start + k) / IMU_RATE_HZ for k in range(WINDOW_SAMPLES)]
            if not any(uid == source and start_s <= t < end_s for uid, start_s, end_s in listed for t in times):
                found.append(f"{recording}@{start / IMU_RATE_HZ:g}")
    return found


ONE_WINDOW, OUTSIDE = ["whole", 5, 10], [["whole", -9, 0.0], ["whole", 31, 99], ["late", 0, 2.5]]
OVER_THE_HOLE = [["late", 12.0, 15.25], ["late", 12.5, 13]]
OVERLAPPING, OF_NO_LENGTH = [["whole", 12, 17.5], ["whole", 10.0, 13]], ["whole", 7, 7]
IN_THE_HOLE, OF_A_LATER_PART = ["late", 13.55, 13.9], ["late", 19.0, 24.0]
ALL_OF_IT, NOT_HERE = ["late", -1, 1e6], [["stranger", 0, 5], ["short", 28, 31]]


def test_listed_windows_are_not_read(folder, capsys):
    """One dataset; each call has another list, and only the first prepares anything."""
    for number, (listed, left_out) in enumerate(
        (
            ([ONE_WINDOW, *OUTSIDE, *OVER_THE_HOLE, *NOT_HERE], ["late@5", "late_part2@0", "whole@5"]),
            ([*OVERLAPPING, OF_NO_LENGTH, IN_THE_HOLE, OF_A_LATER_PART],
             ["late_part2@5", "whole@10", "whole@15"]),
            ([ALL_OF_IT], ["late@0", "late@5", "late_part2@0", "late_part2@5", "late_part2@10"]),
        )
    ):  # fmt: skip
        store = run(folder, listed)
        shown = capsys.readouterr().out
        assert ("0 prepared, 2 kept from before" in shown) == (number > 0)
        windows = list_windows(store).ids()
        assert windows == list_windows(store, needs_video=True).ids() == kept(store, listed)
        assert set(kept(store, [])) - set(windows) == set(left_out)
        assert set(store.masked["reason"]) == {"listed"} and verify(store.root)[1] == []
        assert store.info["quality"]["skip_windows"] == "bad.json"
        warned = "WARNING, skip_windows: 2 of the 4 videos" in shown
        assert warned == ("WARNING, skip_windows" in shown) == (number == 0)
        if number == 0:
            begin_s = json.loads(store.recordings["notes"][1])["start_s"]
            assert store.masked[["id", "start_s", "end_s", "threshold"]].values.tolist() == [
                ["late", pytest.approx(12 - 2.51, abs=0.02), store.recordings["duration_s"][0], 0],
                ["late_part2", 0, pytest.approx(15.25 - begin_s, abs=0.02), 0],
                ["whole", 5, 10, 0],
            ]
            np.testing.assert_allclose(store.masked["value"], store.masked["end_s"] - store.masked["start_s"])
    store = run(folder)
    assert list_windows(store).ids() == kept(store, []) and len(kept(store, [])) == 11
    assert store.masked.empty and "skip_windows" not in store.info["quality"]


def test_rows_hold_exactly_the_samples_in_a_stretch():
    rng = np.random.default_rng(0)
    for _ in range(300):
        begin_s, samples = round(rng.uniform(0, 9), 6), int(rng.integers(1, 60))
        listed = [("v", *sorted(np.round(rng.uniform(begin_s - 1, begin_s + 2, 2), 3))) for _ in range(3)]
        times = [begin_s + k / IMU_RATE_HZ for k in range(samples)]
        expected = [any(start <= t < end for _, start, end in listed) for t in times]
        recording = {"id": "v_part2", "source": "v", "samples": samples, "notes": json.dumps({"start_s": begin_s})}
        rows = listed_rows([recording, recording | {"source": "w"}], {"v": [stretch[1:] for stretch in listed]})
        covered = np.zeros(samples, dtype=bool)
        for row in rows:
            covered[round(row["start_s"] * IMU_RATE_HZ) : round(row["end_s"] * IMU_RATE_HZ)] = True
            assert 0 <= row["start_s"] < row["end_s"] <= samples / IMU_RATE_HZ
        assert covered.tolist() == expected


def test_stretches_that_overlap_or_touch_are_one(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('[["a", 5, 10], ["b", 1, 2], ["a", 10, 12], ["a", 0, 1], ["a", 6, 7]]')
    assert read_listed(path) == {"a": [(0, 1), (5, 12)], "b": [(1, 2)]}


@pytest.mark.parametrize(
    "text, says",
    [
        ("[", "Invalid JSON"),
        ("\xff", "not JSON"),
        ('{"a": [1, 2]}', "valid array"),
        ('[["a", 1, 2], ["a", 1]]', "entry 2: "),
        ('[["a", 1, 2, 3]]', "entry 1: "),
        ('["a"]', "entry 1: "),
        ("[[7, 1, 2]]", "entry 1: "),
        ('[["a", "1", 2]]', "entry 1: "),
        ('[["a", 1, true]]', "entry 1: "),
        ('[["a", 1, NaN]]', "entry 1: "),
        ('[["a", -Infinity, 1]]', "entry 1: "),
        (f'[["a", 1, 1{"0" * 400}]]', "entry 1: "),
        ('[["a", 1, 2], ["a", 3, 2.5]]', "entry 2: .*start_s is after end_s"),
    ],
)
def test_what_is_no_such_list_is_named(tmp_path, text, says):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"bad\.json: .*{says}"):
        read_listed(path)


def test_a_bad_list_stops_before_anything_is_prepared(folder, tmp_path):
    words = ["--format", "ego4d", "--raw", str(folder / "raw"), "--out", str(tmp_path / "out"), "--skip_windows"]
    with pytest.raises(SystemExit, match=r"nowhere\.json is not there.*--skip_windows"):
        prepare.main([*words, str(tmp_path / "nowhere.json")])
    (tmp_path / "bad.json").write_text("[[1]]")
    with pytest.raises(SystemExit, match="entry 1"):
        prepare.main([*words, str(tmp_path / "bad.json")])
    assert not (tmp_path / "out").exists()
