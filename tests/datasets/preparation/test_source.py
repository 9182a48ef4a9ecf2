"""One source to prepared files: parts, clocks, rejections, and when it is done again."""

import errno
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from datasets.frames import FrameStream, FrameWriter
from datasets.preparation import signals
from datasets.preparation import source as source_module
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import WHOLE_FILE_BYTES, fingerprint, hash_files, read_journal
from datasets.preparation.source import prepare_source, reject_crashed
from datasets.recording import BadRecording, Recording, Segment, Source
from datasets.store import Store, frames_path, imu_path
from datasets.windows import list_windows
from tests.videos import SIDE, number_of, write_video


def make(time_s, video=None, label="", segments=(), notes=None, session=""):
    """A recording whose first channel is its own clock, so that a sample says when it was taken."""
    acc = np.stack([time_s, 0 * time_s, 9.81 + 0 * time_s], axis=1)
    return Recording(
        "rec", time_s, acc, time_s, np.zeros_like(acc), "anna", session, label, video, tuple(segments), notes or {}
    )


def even(begin_s, end_s, rate_hz=100):
    return np.arange(round(begin_s * rate_hz), round(end_s * rate_hz)) / rate_hz


def source(tmp_path, recording=None, error=None, files=()):
    def parse():
        if error is not None:
            raise error
        return recording

    parse.__qualname__ = "parse"  # the same function for the journal, whatever it closes over
    if not files:
        files = (tmp_path / "raw" / "rec.csv",)
        files[0].parent.mkdir(parents=True, exist_ok=True)
        files[0].write_text("content")
    return Source("rec", tuple(files), parse)


def prepare(tmp_path, *args, frame_size=SIDE, window_s=5.0, **options):
    chosen = args[0] if args and isinstance(args[0], Source) else source(tmp_path, *args, **options)
    status = prepare_source(chosen, tmp_path / "raw", tmp_path / "out", frame_size, window_s)
    entry = read_journal(tmp_path / "out", "rec")
    return status, entry["recordings"], entry["rejected"]


def stored(tmp_path, row):
    imu = np.load(imu_path(tmp_path / "out", row["id"]))
    stream = FrameStream(frames_path(tmp_path / "out", row["id"]), row["frames"], SIDE)
    return imu, [number_of(frame) for frame in stream.read(np.arange(row["frames"]))] if row["frames"] else []


def test_a_recording_without_video(tmp_path):
    notes = {"split": "val", "acc_lsb_per_g": 8192}
    status, (row,), rejected = prepare(tmp_path, make(even(3, 15), label="walking", notes=notes))
    assert status == "prepared" and not rejected
    assert (row["id"], row["source"], row["subject"], row["session"]) == ("rec", "rec", "anna", "rec")
    assert (row["label"], row["split"], row["frames"], row["source_rate_hz"]) == ("walking", "val", 0, 100)
    assert json.loads(row["notes"]).items() >= {"acc_lsb_per_g": 8192, "start_s": 3.0, "gyro_rate_hz": 100.0}.items()
    imu, _ = stored(tmp_path, row)
    assert imu.shape == (row["samples"], 6) == (600, 6)
    np.testing.assert_allclose(imu[5:-5, 0], 3 + np.arange(600)[5:-5] / 50, atol=1e-5)


def test_a_known_session_is_kept(tmp_path):
    assert prepare(tmp_path, make(even(0, 6), session="2021_01_13"))[1][0]["session"] == "2021_01_13"


def test_imu_and_frames_are_of_the_same_time(tmp_path):
    """The IMU starts before the video and ends after it; 25 fps read at 10 fps."""
    video = write_video(tmp_path / "v.mp4", 25 * 12, 25)
    _, (row,), rejected = prepare(tmp_path, make(even(-3, 14), video))
    imu, numbers = stored(tmp_path, row)
    assert json.loads(row["notes"])["start_s"] == 0.0 and not rejected
    for k, number in enumerate(numbers):
        assert number / 25 == pytest.approx(k / 10, abs=0.021)  # half a source frame
        if 1 <= k < len(numbers) - 1:
            assert imu[5 * k, 0] == pytest.approx(k / 10, abs=1e-4)
    assert (len(numbers), len(imu)) == (120, 600)


def test_a_clock_that_begins_again_is_refused_with_its_video(tmp_path):
    """Which frames belong to a time that comes twice cannot be told."""
    video = write_video(tmp_path / "v.mp4", 25 * 12, 25)
    recording = make(np.concatenate([even(0, 12), 0.003 + even(0, 8)]), video)
    status, rows, (rejected,) = prepare(tmp_path, recording)
    assert (status, rows, rejected["reason"]) == ("rejected", [], "clock_back")
    assert rejected["detail"].startswith("rec.csv: ") and "row 1201" in rejected["detail"]


@pytest.mark.parametrize("window_s, kept", [(1.0, [324, 90, 382]), (1.9, [324, 382]), (7.0, [382])])
def test_the_shortest_part_is_a_window(tmp_path, window_s, kept):
    """Parts of 6.48, 1.8 and 7.64 s; what is shorter says how long it should have been."""
    video = write_video(tmp_path / "v.mp4", 25 * 20, 25)
    time_s = np.concatenate([even(0.53, 7), even(8.21, 10), even(11.37, 19)])
    _, rows, rejected = prepare(tmp_path, make(time_s, video), window_s=window_s)
    assert [row["samples"] for row in rows] == kept
    assert [row["reason"] for row in rejected] == ["too_short"] * (3 - len(kept))
    assert all(f"want {window_s:g} s" in row["detail"] for row in rejected)
    assert prepare(tmp_path, make(time_s, video), window_s=window_s)[0] == "kept"
    assert prepare(tmp_path, make(time_s, video), window_s=2.0)[0] == "prepared"


@pytest.mark.parametrize("window_s, samples", [(3.0, 300), (5.0, 250), (2.0, 200)])
def test_filling_is_up_to_a_window(tmp_path, window_s, samples):
    recording = replace(make(even(0, 4.0)), pad_from_s=3.5)
    _, (row,), _ = prepare(tmp_path, recording, window_s=window_s)
    assert row["samples"] == samples and json.loads(row["notes"]).get("padded_samples", 0) == samples - 200
    short = replace(make(even(0, 3.2)), pad_from_s=3.5)
    assert [row["samples"] for row in prepare(tmp_path / "more", short, window_s=3.0)[1]] == [300]


def test_parts_take_their_own_stretch_of_the_video(tmp_path):
    video = write_video(tmp_path / "v.mp4", 25 * 20, 25)
    time_s = np.concatenate([even(0.53, 7), even(8.21, 10), even(11.37, 19)])
    segments = [Segment(0, 5, "walking"), Segment(5, 12, "sitting"), Segment(12, 30, "walking")]
    status, rows, rejected = prepare(tmp_path, make(time_s, video, segments=segments))
    assert status == "prepared" and [row["id"] for row in rows] == ["rec", "rec_part2"]
    assert {row["session"] for row in rows} == {"rec"} and {row["source"] for row in rows} == {"rec"}
    for row, start in zip(rows, (0.53, 11.37), strict=True):
        imu, numbers = stored(tmp_path, row)
        np.testing.assert_allclose(np.array(numbers) / 25, start + np.arange(len(numbers)) / 10, atol=0.021)
        np.testing.assert_allclose(imu[5:-5:5, 0], start + np.arange(5, len(imu) - 5, 5) / 50, atol=1e-4)
        assert len(numbers) == -(-len(imu) // 5)
    ((short),) = rejected
    assert (short["reason"], short["start_s"], short["end_s"]) == ("too_short", 8.21, 9.99)
    got = [(s["id"], round(s["start_s"], 2), round(s["end_s"], 2), s["label"])
           for s in read_journal(tmp_path / "out", "rec")["segments"]]  # fmt: skip
    assert got == [
        ("rec", 0, 4.47, "walking"), ("rec", 4.47, 6.48, "sitting"),
        ("rec_part2", 0, 0.63, "sitting"), ("rec_part2", 0.63, 7.64, "walking"),
    ]  # fmt: skip


def test_a_short_gap_does_not_change_the_z_score(tmp_path):
    """Rest, then motion; 0.15 s are lost where it changes, so that each part has moments of its own."""
    time_s = even(0, 60)
    gyro = np.where(time_s < 30, 0.05, 1.0)[:, None] * np.sin(2 * np.pi * time_s[:, None] * [0.5, 1.0, 2.0])
    seen = []
    for name, keep in (("whole", time_s >= 0), ("cut", (time_s < 30) | (time_s >= 30.15))):
        acc = np.tile([0.0, 0.0, 9.81], (keep.sum(), 1))
        recording = Recording("rec", time_s[keep], acc, time_s[keep], gyro[keep])
        (tmp_path / name).mkdir()
        _, rows, _ = prepare(tmp_path / name, recording)
        info = {"name": "out", "simulated": True, "frame_size": SIDE, "settings": {}, "versions": {}}
        finalize(tmp_path / name / "out", ["rec"], [], [], info)
        store = Store(tmp_path / name / "out")
        assert len(rows) == (1 if name == "whole" else 2)
        seen.append(list_windows(store).imu(np.array([2]), "recording")[0, 3:].std())  # 10 to 15 s, at rest
    assert seen[0] < 0.1 and seen[1] == pytest.approx(seen[0], rel=0.01)  # by its own part it would be 1


@pytest.mark.parametrize("seconds", [4.9, 0.3])
def test_below_five_seconds_is_rejected(tmp_path, seconds):
    status, rows, (rejection,) = prepare(tmp_path, make(even(0, seconds)))
    assert (status, rows, rejection["reason"]) == ("rejected", [], "too_short")
    assert "want 5 s" in rejection["detail"]


def test_rejections_name_the_reason_without_the_place_on_disk(tmp_path):
    error = BadRecording("text_cell", f"{tmp_path / 'raw' / 'a' / 'x.csv'}: line 3 holds 'q'")
    status, _, (rejection,) = prepare(tmp_path, error=error)
    assert (status, rejection["reason"]) == ("rejected", "text_cell")
    assert rejection["detail"] == "a/x.csv: line 3 holds 'q'"


def test_a_programming_error_is_a_rejection_that_is_tried_again(tmp_path):
    status, _, (rejection,) = prepare(tmp_path, error=ZeroDivisionError("oops"))
    assert (status, rejection["reason"]) == ("rejected", "unexpected_error")
    assert "ZeroDivisionError at test_source.py" in rejection["detail"] and "oops" in rejection["detail"]
    assert prepare(tmp_path, make(even(0, 6)))[0] == "prepared"


def test_a_missing_file_is_a_rejection(tmp_path):
    gone = source(tmp_path, make(even(0, 6)), files=(tmp_path / "gone.csv",))
    assert prepare(tmp_path, gone)[2][0]["reason"] == "unreadable_file"


def test_imu_far_outside_the_video_is_named(tmp_path):
    video = write_video(tmp_path / "v.mp4", 25 * 6, 25)
    _, (row,), rejected = prepare(tmp_path, make(even(-7, 30), video))
    assert row["frames"] == 60
    assert [(r["reason"], r["start_s"], r["end_s"]) for r in rejected] == [
        ("outside_video", -7, 0), ("outside_video", 6, 29.99)
    ]  # fmt: skip


@pytest.mark.parametrize("content, reason", [(b"", "empty_video"), (b"no video", "unreadable_video")])
def test_unusable_videos_are_rejected(tmp_path, content, reason):
    video = tmp_path / "v.mp4"
    video.write_bytes(content)
    status, rows, (rejection,) = prepare(tmp_path, make(even(0, 8), video))
    assert (status, rows, rejection["reason"]) == ("rejected", [], reason)
    assert not list((tmp_path / "out").rglob("*.mjpeg*"))


def truncated(tmp_path, frames, share):
    """A video with its header first, of which only the beginning arrived."""
    path = write_video(tmp_path / "v.mp4", frames, 25, front=True)
    data = path.read_bytes()
    begin = data.index(b"mdat")
    path.write_bytes(data[: begin + int((len(data) - begin) * share)])
    return path


def test_a_truncated_video_gives_its_beginning(tmp_path):
    video = truncated(tmp_path, 25 * 40, 0.6)
    status, (row,), (rejection,) = prepare(tmp_path, make(even(0, 40), video))
    imu, numbers = stored(tmp_path, row)
    assert status == "prepared" and rejection["reason"] == "truncated_video"
    assert 10 < row["duration_s"] < 35 and len(imu) == 5 * len(numbers)
    assert rejection["start_s"] == row["duration_s"] and rejection["end_s"] == 40
    np.testing.assert_allclose(np.array(numbers[:-5]) / 25, np.arange(len(numbers) - 5) / 10, atol=0.021)


def test_a_video_truncated_to_less_than_a_window_is_rejected(tmp_path):
    status, rows, (rejection,) = prepare(tmp_path, make(even(0, 40), truncated(tmp_path, 25 * 40, 0.08)))
    assert (status, rows, rejection["reason"]) == ("rejected", [], "truncated_video")


def test_a_full_disk_is_no_rejection(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(source_module, "write_source", full)
    with pytest.raises(OSError, match="No space"):
        prepare_source(source(tmp_path, make(even(0, 6))), tmp_path, tmp_path / "out", SIDE)


def test_a_full_disk_while_writing_frames_is_no_rejection(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FrameWriter, "write", full)
    video = write_video(tmp_path / "v.mp4", 25 * 6, 25)
    with pytest.raises(OSError, match="No space"):
        prepare_source(source(tmp_path, make(even(0, 6), video)), tmp_path, tmp_path / "out", SIDE)
    assert not list((tmp_path / "out").rglob("*.mjpeg*")) and read_journal(tmp_path / "out", "rec") is None


# ------------------------------------------------------------- doing it again


def test_a_second_call_keeps_what_is_there(tmp_path):
    recording = make(even(0, 6))
    assert prepare(tmp_path, recording)[0] == "prepared"
    before = imu_path(tmp_path / "out", "rec").stat().st_mtime_ns
    assert prepare(tmp_path, recording)[0] == "kept"
    assert imu_path(tmp_path / "out", "rec").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["content", "settings", "imu lost", "frames lost", "journal damaged"])
def test_a_second_call_does_what_has_changed(tmp_path, change):
    video = write_video(tmp_path / "v.mp4", 25 * 6, 25)
    recording, size = make(even(0, 6), video), SIDE
    prepare(tmp_path, recording)
    again = source(tmp_path, recording)
    if change == "content":
        again.files[0].write_text("changed")
    elif change == "settings":
        size = 32
    elif change == "imu lost":
        imu_path(tmp_path / "out", "rec").unlink()
    elif change == "frames lost":
        frames_path(tmp_path / "out", "rec").unlink()
    else:
        (tmp_path / "out" / ".journal" / "rec.json").write_text('{"finger')
    assert prepare(tmp_path, again, frame_size=size)[0] == "prepared"


def test_files_of_an_illegible_entry_change_in_no_open_dataset(tmp_path):
    prepare(tmp_path, make(even(0, 6)))
    (tmp_path / "out" / ".journal" / "rec.json").write_text('{"finger')
    (tmp_path / "out" / "dataset.json").write_text("{}")
    prepare(tmp_path, make(even(0, 7)))
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_rejected_file_is_not_read_again_until_it_changes(tmp_path):
    bad = source(tmp_path, error=BadRecording("empty_csv", "nothing"))
    assert prepare(tmp_path, bad)[0] == "rejected"
    unread = source(tmp_path, make(even(0, 6)), files=bad.files)  # would be prepared, were it read
    assert prepare(tmp_path, unread)[0] == "rejected"
    bad.files[0].write_text("mended")
    assert prepare(tmp_path, source(tmp_path, make(even(0, 6)), files=bad.files))[0] == "prepared"


def test_a_crash_is_noted_and_tried_again(tmp_path):
    chosen = source(tmp_path, make(even(0, 6)))
    assert reject_crashed(chosen, tmp_path / "out") == "rejected"
    assert read_journal(tmp_path / "out", "rec")["rejected"][0]["reason"] == "crashed"
    assert prepare(tmp_path, chosen)[0] == "prepared"


def some_parser(path, label):
    raise NotImplementedError


def test_fingerprint_follows_content_label_settings_not_place(tmp_path):
    def mark(folder="a", content="x", label="walking", size=224):
        path = tmp_path / folder / "f.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        chosen = Source("rec", (path,), partial(some_parser, path, label))
        return fingerprint(chosen, hash_files(chosen.files), {"frame_size": size})

    assert mark() == mark() == mark(folder="b")
    assert len({mark(), mark(content="y"), mark(label="sitting"), mark(size=64)}) == 4


def test_long_files_are_hashed_by_samples(tmp_path):
    path = tmp_path / "long.mp4"
    path.write_bytes(bytes(WHOLE_FILE_BYTES + 1000))
    seen = {hash_files([path])}
    for place in (0, WHOLE_FILE_BYTES + 999):
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(b"\1")
        seen.add(hash_files([path]))
    assert len(seen) == 3


def test_sensors_are_cleaned_and_the_video_probed_once(tmp_path, monkeypatch):
    calls = []
    for module, name in ((signals, "clean"), (source_module, "probe")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, f=original: calls.append(f.__name__) or f(*given))
    recording = replace(make(even(0, 6), write_video(tmp_path / "v.mp4", 25 * 6, 25)), counted_time=True)
    assert prepare(tmp_path, recording)[0] == "prepared"
    assert sorted(calls) == ["clean", "clean", "probe"]
