"""Bad inputs of every kind, many of them in one raw folder: each has its own fate, and the rest goes on."""

import gzip
import json
import shutil

import av
import numpy as np
import pandas as pd
import pytest

from datasets.formats import delimited
from datasets.store import Store
from scripts import prepare
from tests.mmea import write_mmea
from tests.videos import cut_beginning, number_of, turn, write_video

HEADER = "time,date,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((600, 6)) * 0.2 + [0, 9.81, 0, 0, 0, 0]
TIMES = np.arange(600) / 50
SHUFFLED = RNG.permutation(600)


def csv(times=TIMES, values=VALUES, header=HEADER, order=range(8)):
    """A table of 12 s at 50 Hz."""
    rows = [[f"{t:.3f}", "2023-03-01", *(f"{x:.4f}" for x in row)] for t, row in zip(times, values, strict=True)]
    return "\n".join([header, *(",".join(row[k] for k in order) for row in rows)]) + "\n"


def lines(change):
    rows = csv().splitlines()
    change(rows)
    return "\n".join(rows) + "\n"


def jump(seconds):
    return csv(TIMES + np.where(np.arange(600) >= 300, seconds, 0))


# name: (content, what becomes of it: samples of each part, or the reason for which it is left out)
TABLES = {
    "good": (csv(), [600]),
    "byte_order_mark": ("\ufeff" + csv(), [600]),
    "crlf": (csv().replace("\n", "\r\n"), [600]),
    "blank_lines": (csv().replace("\n", "\n\n"), [600]),
    "columns_in_another_order": (
        csv(header="gyro_x,gyro_y,gyro_z,acc_z,acc_x,acc_y,date,time", order=[5, 6, 7, 4, 2, 3, 1, 0]), [600]),
    "not_utf8": (csv().replace("2023-03-01", "1.März").encode("latin-1"), "unreadable_csv"),
    "utf16": (csv().encode("utf-16"), "unreadable_csv"),
    "decimal_commas": (csv().replace(".", ","), "long_row"),
    "decimal_commas_and_semicolons": (csv().replace(",", ";").replace(".", ","), "missing_column"),
    "second_header": (lines(lambda rows: rows.insert(300, HEADER)), "text_cell"),
    "no_header": (lines(lambda rows: rows.pop(0)), "missing_column"),
    "column_twice": (csv(header=HEADER.replace("gyro_z", "gyro_y")), "missing_column"),
    "negative_time": (csv(TIMES - 6), [600]),
    "repeated_time": (csv(np.repeat(TIMES, 2), np.repeat(VALUES, 2, 0)), [600]),
    "shuffled_rows": (csv(TIMES[SHUFFLED], VALUES[SHUFFLED]), [600]),
    "clock_jumps_an_hour_ahead": (jump(3600), [300, 300]),
    "clock_jumps_an_hour_back": (jump(-3600), [300, 300]),
    "clock_begins_again": (csv(np.where(np.arange(600) < 300, TIMES, TIMES - 6)), "clock_back"),
    "clock_set_back_by_three_seconds": (jump(-3), "clock_back"),
    "rows_twice_in_the_file": (csv(np.tile(TIMES, 2), np.tile(VALUES, (2, 1))), [600]),
    "clock_stands_still": (csv(np.zeros(600)), "whole_seconds"),
    "clock_of_whole_seconds": (csv(TIMES // 1), "whole_seconds"),
    "never_closed_quotes": (csv().replace("9.8", '"9.8', 1), "unreadable_csv"),
    "time_in_milliseconds": (csv(TIMES * 1000), "low_rate"),
    "infinite_values": (csv(values=np.where(np.arange(600)[:, None] // 20 == 20, np.inf, VALUES)), "too_short"),
    "battery_went_empty": (csv()[:-30], [599]),
    "zeros_after_a_power_cut": (csv() + "\0" * 4096, [600]),
    "text_in_a_cell": (csv().replace("9.8", "n.a.8", 1), "text_cell"),
    "six_missing_channels": (csv(values=VALUES * np.nan), "missing_acc"),
    "missing_gyroscope": (csv(values=VALUES * [1, 1, 1, np.nan, 1, 1]), "missing_gyro"),
    "header_alone": (HEADER + "\n", "empty_csv"),
    "no_bytes": ("", "empty_csv"),
    "too_short": (csv(TIMES[:200], VALUES[:200]), "too_short"),
    "one_row": (csv(TIMES[:1], VALUES[:1]), "missing_acc"),
}  # fmt: skip


def run(format, raw, out):
    words = ["--format", format, "--raw", str(raw), "--out", str(out), "--num_workers", "2", "--frame_size", "64"]
    prepare.main([*words, "--max_rejected_share", "1"])


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, (content, _) in TABLES.items():
        path = folder / "raw" / "P1" / "walking" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run("pd", folder / "raw", folder / "out")
    return fates(folder / "out", "P1-walking-"), folder / "out"


def fates(out, prefix=""):
    """Of each source its parts' samples, and the reasons of what was left out of it."""
    recordings, rejected = Store(out).recordings, pd.read_csv(out / "rejected.csv", keep_default_na=False)
    found = {name: (list(rows), []) for name, rows in recordings.groupby("source")["samples"]}
    for name, reason in zip(rejected["id"], rejected["reason"], strict=True):
        found.setdefault(name, ([], []))[1].append(reason)
    return {name.removeprefix(prefix): fate for name, fate in found.items()}


@pytest.mark.parametrize("name", TABLES)
def test_a_table(tables, name):
    samples, reasons = tables[0][name]
    expected = TABLES[name][1]
    if isinstance(expected, str):
        assert expected in reasons
    else:
        assert (samples, reasons) == (expected, [])


def test_what_was_mended_says_so_and_every_signal_is_finite(tables):
    store = Store(tables[1])
    notes = dict(zip(store.recordings["source"], map(json.loads, store.recordings["notes"]), strict=True))
    assert notes["P1-walking-battery_went_empty"]["cut_off_rows"] == 1
    dropped = store.recordings.set_index("id")["dropped_samples"]
    assert dropped["P1-walking-repeated_time"] == 1200 and dropped["P1-walking-good"] == 0
    by_name = {name: np.load(tables[1] / "imu" / f"{name}.npy") for name in store.recordings["id"]}
    assert all(np.isfinite(signal).all() for signal in by_name.values())
    as_good = ("byte_order_mark", "crlf", "columns_in_another_order", "negative_time", "repeated_time")
    for same in (*as_good, "rows_twice_in_the_file"):
        np.testing.assert_allclose(by_name[f"P1-walking-{same}"], by_name["P1-walking-good"], atol=1e-5)


def hollow(path):
    """A video track without one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.start_encoding()


def sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())


def cut(path):
    """The header comes first, half of the data is missing."""
    write_video(path, 240, 25, front=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def headless(path):
    write_video(path, 180, 25)
    path.write_bytes(path.read_bytes()[:-300])


def turned(path):
    write_video(path, 180, 25)
    turn(path, 180)


def edited(path):
    write_video(path, 200, 25, options={"bf": "0"})
    ticks = round(av.open(str(path)).streams.video[0].time_base.denominator / 25)
    cut_beginning(path, 10 * ticks)


# name: (writes the file, reason or None, number that the first stored frame shows)
VIDEOS = {
    "good": (lambda path: write_video(path, 180, 25), None, 0),
    "no_bytes": (lambda path: path.write_bytes(b""), "empty_video", None),
    "text": (lambda path: path.write_bytes(b"<html>404</html>" * 99), "unreadable_video", None),
    "no_frame": (hollow, "unreadable_video", None),
    "sound_alone": (sound, "unreadable_video", None),
    "no_header": (headless, "unreadable_video", None),
    "cut_in_the_middle": (cut, "truncated_video", None),
    "shorter_than_a_window": (lambda path: write_video(path, 100, 25), "too_short", None),
    "variable_rate": (
        lambda path: write_video(path, 180, ticks=(np.arange(180) * 40 + np.arange(180) % 3 * 9).tolist()), None, 0),
    "edit_list": (edited, None, 10),
    "turned": (turned, None, None),
    "open_gops": (
        lambda path: write_video(path, 180, 25, options={"x264-params": "open-gop=1:keyint=12:bframes=2"}), None, 0),
    "hevc": (
        lambda path: write_video(path, 180, 25, codec="libx265", options={"x265-params": "log-level=none"}), None, 0),
    "av1": (lambda path: write_video(path, 180, 25, codec="libsvtav1", options={"preset": "10", "crf": "20"}), None, 0),
    "mpeg4": (lambda path: write_video(path, 180, 25, codec="mpeg4", options={"b": "2000000"}), None, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    raw = write_mmea(folder / "raw", len(VIDEOS))
    paths = dict(zip(VIDEOS, sorted(raw.glob("video/*/*")), strict=True))
    absent = set()
    for name, (write, *_) in VIDEOS.items():
        paths[name].unlink()
        try:
            write(paths[name])
        except av.codec.codec.UnknownCodecError:
            absent.add(name)
    run("mmea", raw, folder / "out")
    found = fates(folder / "out")
    return {name: found[path.stem] for name, path in paths.items()}, paths, Store(folder / "out"), absent


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video(videos, name):
    found, paths, store, absent = videos
    if name in absent:
        pytest.skip("PyAV has no encoder for this kind of video here")
    (samples, reasons), (_, reason, first) = found[name], VIDEOS[name]
    if reason is not None:
        assert reason in reasons
        return
    assert reasons == [] and len(samples) == 1 and samples[0] >= 340
    if first is not None:
        frames = store.frames(store.recordings["source"].tolist().index(paths[name].stem))
        numbers = [number_of(frame) for frame in frames.read(np.array([0, 4]))]
        assert numbers == [first, first + 10] or name == "variable_rate"


# ------------------------------------------------------------- files that are not where they seem to be


def test_a_link_out_of_the_raw_folder_is_read_not_recorded(tmp_path):
    elsewhere = tmp_path / "secret-disk"
    elsewhere.mkdir()
    (elsewhere / "a.csv").write_text(csv())
    folder = tmp_path / "raw" / "P1" / "walking"
    folder.mkdir(parents=True)
    (folder / "a.csv").symlink_to(elsewhere / "a.csv")
    run("pd", tmp_path / "raw", tmp_path / "out")
    assert Store(tmp_path / "out").recordings["id"].tolist() == ["P1-walking-a"]
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_links_out_of_the_dataset_are_replaced(tmp_path):
    folder = tmp_path / "raw" / "P1" / "walking"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(csv())
    run("pd", tmp_path / "raw", tmp_path / "out")
    mine, imu = tmp_path / "mine.npy", tmp_path / "out" / "imu"
    shutil.move(imu / "P1-walking-a.npy", mine)
    mine.write_bytes(b"precious")
    for name in ("P1-walking-a.npy", "stranger.npy"):
        (imu / name).symlink_to(mine)
    (folder / "a.csv").write_text(csv() + "12.000,2023-03-01,0,9.8,0,0,0,0\n")
    run("pd", tmp_path / "raw", tmp_path / "out")
    assert mine.read_bytes() == b"precious"
    assert sorted(path.name for path in imu.iterdir()) == ["P1-walking-a.npy"]
    assert not (imu / "P1-walking-a.npy").is_symlink() and Store(tmp_path / "out").imu(0).shape == (601, 6)


# ------------------------------------------------------------- size


def test_three_gigabytes_of_csv_are_refused_without_being_read(tmp_path):
    folder = tmp_path / "raw" / "P1" / "walking"
    folder.mkdir(parents=True)
    (folder / "good.csv").write_text(csv())
    with open(folder / "huge.csv", "wb") as file:
        file.write(csv().encode())
        file.truncate(3 << 30)  # no byte more on the disk
    run("pd", tmp_path / "raw", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert table["reason"].tolist() == ["too_large"] and "3.0 GiB" in table["detail"][0]


def test_a_gzip_that_would_unpack_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_BYTES", 1 << 20)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * (1 << 19)))
    with pytest.raises(delimited.BadRecording, match="too_large.*t.csv.gz"):
        delimited.read_numbers(path, ("a", "b"))
