"""Ego4D's index and IMU tables."""

import json

import numpy as np
import pytest

from datasets.formats import ego4d
from datasets.formats.listing import NOT_ON_DISK
from datasets.recording import BadRecording
from datasets.signals import process

HEADER = "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z\n"


def write_table(path, samples=1200, stamp="{:.3f}".format, acc="0.1,9.8,0.2"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"0,{1e5 + 5 * k:.3f},{stamp(5 * k)},0.01,0.02,0.03,{acc}\n" for k in range(samples)]
    path.write_text(HEADER + "".join(rows))


@pytest.fixture
def raw(tmp_path):
    videos = []
    for uid, has_imu, files in (
        ("both", True, ("v2/imu/both.csv", "v2/full_scale/both.mp4", "v2/video_540ss/both.mp4")),
        ("small", True, ("v2/imu/small.csv", "v2/video_540ss/small.mp4")),
        ("no-imu", False, ("v2/full_scale/no-imu.mp4",)),
        ("no-video", True, ("v2/imu/no-video.csv",)),
        ("no-csv", True, ("v2/full_scale/no-csv.mp4",)),
        ("elsewhere", True, ()),
    ):
        videos.append({"video_uid": uid, "has_imu": has_imu, "fb_participant_id": 7 if uid == "both" else None,
                       "video_source": "uni"})  # fmt: skip
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(path) if path.suffix == ".csv" else path.write_bytes(b"")
    (tmp_path / "ego4d.json").write_text(json.dumps({"version": "2.0", "videos": videos}))
    return tmp_path


def test_find_pairs_videos_with_tables(raw):
    found = ego4d.find(raw)
    assert {source.id: source.files[1].parent.name for source in found.sources} == {
        "both": "full_scale", "small": "video_540ss"
    }  # fmt: skip
    assert {r.id: r.reason for r in found.rejected} == {
        "no-video": "missing_video", "no-csv": "missing_csv", "elsewhere": NOT_ON_DISK
    }  # fmt: skip
    assert [source.parse().subject for source in found.sources] == ["uni-7", ""]


def test_gyroscope_comes_first_in_the_table(raw):
    recording = ego4d.find(raw).sources[0].parse()
    np.testing.assert_array_equal(recording.acc[0], [0.1, 9.8, 0.2])
    np.testing.assert_array_equal(recording.gyro[0], [0.01, 0.02, 0.03])
    np.testing.assert_allclose(recording.acc_time_s[:3], [0, 0.005, 0.01])  # the video's clock, not the component's


def parse(raw, **table):
    write_table(raw / "v2/imu/both.csv", **table)
    return ego4d.find(raw).sources[0].parse()


def test_null_stamps_are_missing_samples(raw):
    done = process(parse(raw, stamp=lambda ms: "NULL" if ms % 500 == 0 else f"{ms}"))
    assert done.counts == {"acc_nan_time": 12, "gyro_nan_time": 12} and len(done.parts) == 1


def test_stamps_that_run_backwards_are_sorted(raw):
    done = process(parse(raw, stamp=lambda ms: f"{ms - 20 if ms % 1000 == 500 else ms}"))
    assert done.counts["acc_unsorted"] == 6 and done.counts["acc_repeated_time"] == 6


def test_missing_acceleration_is_refused(raw):
    with pytest.raises(BadRecording, match="missing_acc"):
        process(parse(raw, acc=",,"))


def test_text_in_a_cell_is_named(raw):
    with pytest.raises(BadRecording, match=r"text_cell: .*line 2, column accl_y holds 'ok'"):
        parse(raw, acc="1,ok,2")


@pytest.mark.parametrize(
    "content, says",
    [("{", "not an Ego4D index"), ("[]", "not an Ego4D index"),
     ('{"videos": [{"video_uid": "a"}]}', "not an Ego4D index"),
     ('{"videos": [{"video_uid": "a", "has_imu": false}]}', "no video with has_imu"),
     ('{"videos": [{"video_uid": "../a", "has_imu": true}]}', "not allowed")],
)  # fmt: skip
def test_a_damaged_index_is_named(raw, content, says):
    (raw / "ego4d.json").write_text(content)
    with pytest.raises(ValueError, match=says):
        ego4d.find(raw)


def test_missing_folder_and_index_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ego4d.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"ego4d\.json"):
        ego4d.find(tmp_path)
