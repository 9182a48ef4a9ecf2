"""Ego4D's index and IMU tables."""

import json

import numpy as np
import pytest

from datasets.formats import ego4d
from datasets.formats.common import NOT_ON_DISK
from datasets.formats.ego4d_clock import video_clock
from datasets.preparation.signals import process
from datasets.recording import BadRecording, Recording

HEADER = "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z\n"


def write_table(
    path, samples=1200, stamp="{:.3f}".format, acc="0.1,9.8,0.2", own="{:.3f}".format, gyro="0.01,0.02,0.03"
):
    """Rows 5 ms apart; the component's clock runs 100 s ahead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"0,{own(1e5 + 5 * k)},{stamp(5 * k)},{gyro},{acc}\n" for k in range(samples)]
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
                       "video_source": "uni", "video_metadata": {"video_duration_sec": 6.0}})  # fmt: skip
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
        "no-imu": "no_imu", "no-video": "missing_video", "no-csv": "missing_csv", "elsewhere": NOT_ON_DISK
    }  # fmt: skip
    assert [source.parse().subject for source in found.sources] == ["uni-7", ""]
    (raw / "v2/full_scale/no-imu.mp4").unlink()
    assert "no-imu" not in {r.id for r in ego4d.find(raw).rejected}  # neither here nor of use


def test_gyroscope_comes_first_in_the_table(raw):
    recording = ego4d.find(raw).sources[0].parse()
    np.testing.assert_array_equal(recording.acc[0], [0.1, 9.8, 0.2])
    np.testing.assert_array_equal(recording.gyro[0], [0.01, 0.02, 0.03])
    np.testing.assert_allclose(recording.acc_time_s[:3], [0, 0.005, 0.01])  # the video's clock, not the component's


def parse(raw, **table):
    write_table(raw / "v2/imu/both.csv", **table)
    return ego4d.find(raw).sources[0].parse()


def test_null_stamps_are_missing_samples(raw):
    done = process(parse(raw, stamp=lambda ms: "NULL" if ms % 500 == 0 else f"{ms}", own=lambda ms: "NULL"))
    assert done.counts == {"acc_nan_time": 12, "gyro_nan_time": 12} and len(done.parts) == 1


def test_null_stamps_are_restored_from_the_component(raw):
    recording = parse(raw, stamp=lambda ms: "NULL" if ms % 500 < 200 else f"{ms}")
    assert recording.notes["restored_stamps"] == 11 * 40  # all but the first 40, which nothing comes before
    np.testing.assert_allclose(recording.acc_time_s[40:], np.arange(40, 1200) * 0.005, atol=1e-9)
    assert np.isnan(recording.acc_time_s[:40]).all()


def test_huge_stamps_are_not_believed(raw):
    recording = parse(raw, stamp=lambda ms: "1e15" if ms in (2000, 5995) else f"{ms}")
    assert recording.notes == {"impossible_stamps": 2, "restored_stamps": 1}  # the last has nothing after it
    assert np.nanmax(recording.acc_time_s) == 5.99 and len(process(recording).parts) == 1


def test_no_stamp_within_the_video_is_refused(raw):
    for stamp in (lambda ms: f"{ms + 1e9}", lambda ms: "NULL"):
        with pytest.raises(BadRecording, match=r"missing_time: .*both\.csv: of 1200 rows.*the video's 6 s"):
            parse(raw, stamp=stamp)


@pytest.mark.parametrize("axes, says", [({"gyro": "0.{k},0.02,0.{k}"}, "gyro_z is a copy of gyro_x"),
                                        ({"acc": "{k},{k},9"}, "accl_y is a copy of accl_x")])  # fmt: skip
def test_copied_axes_are_refused(raw, axes, says):
    ((name, values),) = axes.items()
    path = raw / "v2/imu/both.csv"
    write_table(path)
    lines = path.read_text().splitlines()
    for k in range(1, len(lines)):
        words = lines[k].split(",")
        first = 3 if name == "gyro" else 6
        words[first : first + 3] = values.format(k=100 + k).split(",")
        lines[k] = ",".join(words)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadRecording, match=f"copied_axes: .*{says} in all 1200 rows"):
        ego4d.find(raw).sources[0].parse()


def test_axes_that_stand_still_alike_are_no_copies(raw):
    assert len(parse(raw, gyro="0,0,0").gyro) == 1200


def test_a_list_restricts_the_videos(raw, tmp_path):
    uids = tmp_path / "val.txt"
    uids.write_bytes(b"small\tcleaning / laundry\r\n\r\nno-imu\nstranger\tx\nsmall\n")
    found = ego4d.find(raw, uids)
    assert [source.id for source in found.sources] == ["small"]
    assert {r.id: r.reason for r in found.rejected} == {"no-imu": "no_imu", "stranger": "not_in_index"}
    uids.write_text("\n")
    with pytest.raises(ValueError, match="holds no video uid"):
        ego4d.find(raw, uids)
    with pytest.raises(FileNotFoundError, match="--uids"):
        ego4d.find(raw, tmp_path / "gone.txt")


def test_the_real_list_is_read(real_data):
    uids = ego4d.read_uids(real_data / "mmea_ego4d_lists/Ego4D/val.txt")
    assert len(uids) == 162 and uids[0] == "0de39e75-fb19-47d4-818d-fff874b05ab9" and {len(u) for u in uids} == {36}


def test_the_size_of_the_videos_is_a_setting(raw):
    found = ego4d.find(raw, None, "video_540ss")
    assert {s.id: s.files[1].parent.name for s in found.sources} == {"both": "video_540ss", "small": "video_540ss"}
    found = ego4d.find(raw, None, "full_scale")
    assert [s.id for s in found.sources] == ["both"]
    assert {r.id: r.reason for r in found.rejected}["small"] == "missing_video"


# ------------------------------------------------------------- stitched videos


def stitched(component, canonical_s, component_s=None, duration_s=None):
    own = np.full(len(canonical_s), np.nan) if component_s is None else np.asarray(component_s, dtype=float)
    return video_clock(np.asarray(component, dtype=float), own, np.asarray(canonical_s, dtype=float), duration_s)


def test_no_window_spans_a_stitch():
    component = np.repeat([0, 1, 2], 1400)
    canonical = np.arange(4200) * 0.005
    time_s, counts = stitched(component, canonical)
    left_out = [
        k
        for k in range(1, 4200)
        if component[k] and canonical[k] < canonical[component == component[k] - 1].max() + 0.12
    ]
    assert np.flatnonzero(np.isnan(time_s)).tolist() == left_out
    assert counts == {"samples_left_out_at_stitches": len(left_out), "components": 3}
    values = np.ones((4200, 3))
    parts = process(Recording("r", time_s, values, time_s, values)).parts
    begins = [time_s[component == number][np.isfinite(time_s[component == number])].min() for number in range(3)]
    assert [p.start_s for p in parts] == begins


def test_a_later_component_gives_way_where_two_overlap():
    """The second began again at 0 instead of where the first ended."""
    time_s, counts = stitched([0] * 400 + [1] * 600, [*np.arange(400) * 0.005, *np.arange(600) * 0.005])
    assert counts["overlapping_component_samples"] == 400 and counts["samples_left_out_at_stitches"] == 23
    np.testing.assert_allclose(time_s[:400], np.arange(400) * 0.005)
    assert np.isnan(time_s[400:823]).all() and np.isfinite(time_s[823:]).all()


def test_holes_are_restored_only_where_both_sides_agree():
    own = np.arange(10) * 0.005
    jump = np.where(np.arange(10) < 5, 7.0, 9.0) + own  # two seconds were cut out of the video
    jump[[2, 4, 8]] = np.nan
    time_s, counts = stitched(np.zeros(10), jump, own)
    np.testing.assert_allclose(time_s[[2, 8]], [7.01, 9.04])
    assert np.isnan(time_s[4]) and counts == {"restored_stamps": 2}


def test_holes_between_components_are_not_restored():
    for last_own_s in (0.005, 9.0):  # offsets that differ, and that agree by chance
        time_s, counts = stitched([0, 0, 1, 1], [0, np.nan, np.nan, 9.0], [0, 0.005, last_own_s - 0.005, last_own_s])
        np.testing.assert_array_equal(time_s, [0, np.nan, np.nan, 9])
        assert counts == {"components": 2}


def test_two_components_that_meet_in_a_table(raw):
    write_table(raw / "v2/imu/both.csv", samples=1200)
    path = raw / "v2/imu/both.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line if k < 600 else "1" + line[1:] for k, line in enumerate(lines)) + "\n")
    recording = ego4d.find(raw).sources[0].parse()
    assert recording.notes["components"] == 2
    assert recording.notes["samples_left_out_at_stitches"] in (23, 24)  # 0.12 s of 5 ms; rounding decides the last


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
     ('{"videos": {"a": 1}}', "not an Ego4D index"), ('{"videos": null}', "not an Ego4D index"),
     ('{"videos": [{"video_uid": "a", "has_imu": false}]}', "no video with has_imu"),
     ('{"videos": []}', "no video with has_imu")],
)  # fmt: skip
def test_a_damaged_index_is_named(raw, content, says):
    (raw / "ego4d.json").write_text(content)
    with pytest.raises(ValueError, match=says):
        ego4d.find(raw)


def test_participants_with_long_numbers_stay_apart(raw):
    index = json.loads((raw / "ego4d.json").read_text())
    for video, number in zip(index["videos"], (1234567, 1234568), strict=False):
        video["fb_participant_id"] = number
    (raw / "ego4d.json").write_text(json.dumps(index))
    assert [s.parse().subject for s in ego4d.find(raw).sources] == ["uni-1234567", "uni-1234568"]


def test_an_odd_entry_counts_where_its_video_is_wanted(raw, tmp_path):
    index = json.loads((raw / "ego4d.json").read_text())
    index["videos"] += [{"video_uid": uid} for uid in ("here", "there")]
    (raw / "ego4d.json").write_text(json.dumps(index))
    (raw / "v2/full_scale/here.mp4").write_bytes(b"")
    odd = lambda found: [r.id for r in found.rejected if r.reason == "bad_index_entry"]  # noqa: E731
    assert odd(ego4d.find(raw)) == ["here"]
    (tmp_path / "list.txt").write_text("there\n")
    assert odd(ego4d.find(raw, tmp_path / "list.txt")) == ["there"]


def test_a_list_that_is_no_text_is_named(raw, tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"list\.txt: is not UTF-8"):
        ego4d.find(raw, tmp_path / "list.txt")


def test_missing_folder_and_index_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ego4d.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"ego4d\.json"):
        ego4d.find(tmp_path)
