"""Anybody's tables: units, times, labels and places by description; a real one of each kind."""

import gzip
import importlib.util
import inspect
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from configs import table as described
from configs.data import DESCRIBED
from configs.load import ConfigError, build
from configs.table import TableConfig
from datasets.formats import FORMATS, classyglass, table
from datasets.preparation.signals import process
from datasets.recording import BadRecording, Segment

AXES = {"acc": ["ax", "ay", "az"], "gyro": ["gx", "gy", "gz"]}
PLAIN = AXES | {"files": "*.csv", "acc_unit": "m/s2", "gyro_unit": "rad/s", "rate_hz": 50}
STRETCHES = {"files": "labels.csv", "label": "what", "start": "from", "end": "to"}
HEADER = "ax,ay,az,gx,gy,gz"


def find(folder, description, text=None):
    file = folder.parent / f"{folder.name}.yaml"
    file.write_text(text if text is not None else yaml.safe_dump(description, sort_keys=False))
    assert len(file.read_text().splitlines()) <= 30  # safe_dump's lists take a line per word
    return table.find(folder, file)


def read(folder, content, **more):
    """The one recording of a file ``t.csv``."""
    folder.mkdir(exist_ok=True)
    (folder / "t.csv").write_text(content)
    description = {k: v for k, v in (PLAIN | more).items() if v is not None}
    (source,) = find(folder, description).sources
    return source.parse()


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


# ------------------------------------------------------------- units


@pytest.mark.parametrize(
    "unit, counts, factor",
    [("m/s2", 1, 1.0), ("g", 1, 9.80665), ("mg", 1, 0.00980665), ("g", 16384, 9.80665 / 16384)],
)
def test_acceleration_becomes_si(raw, unit, counts, factor):
    recording = read(raw, f"{HEADER}\n1,-2,3,4,5,6\n", acc_unit=unit, acc_counts_per_unit=counts)
    np.testing.assert_allclose(recording.acc, [[factor, -2 * factor, 3 * factor]], rtol=1e-15)
    np.testing.assert_array_equal(recording.gyro, [[4, 5, 6]])


@pytest.mark.parametrize("unit, counts, factor", [("deg/s", 1, np.pi / 180), ("deg/s", 16.4, np.pi / 180 / 16.4)])
def test_angular_rate_becomes_si(raw, unit, counts, factor):
    recording = read(raw, f"{HEADER}\n1,2,3,4,-5,6\n", gyro_unit=unit, gyro_counts_per_unit=counts)
    np.testing.assert_allclose(recording.gyro, [[4 * factor, -5 * factor, 6 * factor]], rtol=1e-15)


# ------------------------------------------------------------- times


@pytest.mark.parametrize(
    "unit, stamps",
    [
        ("s", ["100.5", "100.52", "100.54"]),
        ("ms", ["7", "27", "47"]),
        ("us", ["1714557600000000", "1714557600020000", "1714557600040000"]),
        ("ns", ["1714557600000000000", "1714557600020000000", "1714557600040000000"]),
        ("date", ["2024-02-29T23:59:59.98", "2024-03-01T00:00:00", "2024-03-01T00:00:00.02"]),
        ("date", ["2024-03-31 01:59:59.99+01:00", "2024-03-31 03:00:00.01+02:00", "2024-03-31 03:00:00.03+02:00"]),
    ],
)
def test_times_of_every_unit_count_from_the_first_row(raw, unit, stamps):
    content = f"t,{HEADER}\n" + "".join(f"{stamp},1,2,3,4,5,6\n" for stamp in stamps)
    recording = read(raw, content, time="t", time_unit=unit, rate_hz=None)
    np.testing.assert_allclose(recording.acc_time_s, [0, 0.02, 0.04], atol=1e-6)


def test_a_missing_time_is_a_missing_sample(raw):
    content = f"t,{HEADER}\n,1,2,3,4,5,6\n5,1,2,3,4,5,6\nNULL,1,2,3,4,5,6\n6,1,2,3,4,5,6\n"
    for unit in ("s", "date"):
        stamps = content if unit == "s" else content.replace("\n5,", "\n2024-01-01 00:00:00,").replace(
            "\n6,", "\n2024-01-01 00:00:01,"
        )  # fmt: skip
        recording = read(raw, stamps, time="t", time_unit=unit, rate_hz=None)
        np.testing.assert_array_equal(recording.acc_time_s, [np.nan, 0, np.nan, 1])


def test_a_table_without_time_or_with_a_strange_one_is_refused(raw):
    with pytest.raises(BadRecording, match="missing_time: .*column t"):
        read(raw, f"t,{HEADER}\n,1,2,3,4,5,6\n", time="t", time_unit="ms", rate_hz=None)
    with pytest.raises(BadRecording, match="missing_time: .*column t"):
        read(raw, f"t,{HEADER}\n,1,2,3,4,5,6\n", time="t", time_unit="date", rate_hz=None)
    with pytest.raises(BadRecording, match="text_cell: .*row 2 .*'noon'"):
        read(raw, f"t,{HEADER}\n2024-01-01,1,2,3,4,5,6\nnoon,1,2,3,4,5,6\n", time="t", time_unit="date", rate_hz=None)


def test_a_rate_spaces_the_rows(raw):
    recording = read(raw, f"{HEADER}\n" + "1,2,3,4,5,6\n" * 5, rate_hz=40)
    np.testing.assert_array_equal(recording.acc_time_s, np.arange(5) / 40)


# ------------------------------------------------------------- labels, subjects, places


def test_segments_follow_a_label_column(raw):
    content = f"{HEADER},what\n" + "".join(f"1,2,3,4,5,6,{what}\n" for what in ("0", "0", "1", "9", "9", ""))
    recording = read(raw, content, label="what", labels={0: "sit", 1: "walk", 9: None})
    assert recording.label == "" and recording.segments == (Segment(0, 0.04, "sit"), Segment(0.04, 0.06, "walk"))
    assert [s.label for s in read(raw, content, label="what").segments] == ["0", "1", "9"]


def test_a_label_without_a_name_is_refused(raw):
    with pytest.raises(BadRecording, match=r"unknown_label: .*t\.csv: has the label '2', .* has 0, 1"):
        read(raw, f"{HEADER},what\n1,2,3,4,5,6,2\n", label="what", labels={0: "sit", 1: "walk"})


def test_the_subject_column_must_name_one_person(raw):
    content = f"who,{HEADER}\n07,1,2,3,4,5,6\n,1,2,3,4,5,6\n"
    assert read(raw, content, subject="who").subject == "07"
    with pytest.raises(BadRecording, match="several_subjects: .*07, 8"):
        read(raw, content + "8,1,2,3,4,5,6\n", subject="who")


def test_the_path_says_subject_session_and_label(raw):
    for name in ("P1/monday/walk-1.csv", "P1/monday/sit-1.csv", "P2/friday/walk-2.csv", "P2/notes.csv"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    labels = {"walk": "walking", "sit": "sitting"}
    found = find(raw, PLAIN | {"files": "{subject}/{session}/{label}-*.csv", "labels": labels})
    got = {(r.id, r.subject, r.session, r.label) for r in (source.parse() for source in found.sources)}
    assert got == {
        ("P1-monday-sit-1", "P1", "P1_monday", "sitting"),
        ("P1-monday-walk-1", "P1", "P1_monday", "walking"),
        ("P2-friday-walk-2", "P2", "P2_friday", "walking"),
    }
    assert found.classes == ("walking", "sitting")
    assert json.loads(found.notes["table"])["labels"] == labels  # the dataset says how it was read


def test_videos_are_found_by_the_tables_name(raw):
    for name in ("a/t1.csv", "a/t2.csv", "a/film/t1.mp4"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(f"s,{HEADER}\n3,1,2,3,4,5,6\n")
    clock = {"rate_hz": None, "time": "s", "time_unit": "s", "files": "{subject}/*.csv"}
    description = {k: v for k, v in (PLAIN | clock).items() if v is not None}
    for video in ("{subject}/film/{stem}.mp4", "{folder}/film/{stem}.mp4"):
        found = find(raw, description | {"video": video})
        assert [(r.id, r.reason) for r in found.rejected] == [("a-t2", "missing_video")]
        recording = found.sources[0].parse()
        assert recording.video == raw / "a/film/t1.mp4" and recording.acc_time_s[0] == 0
    found = find(raw, description | {"video": "a/film/t1.mp4", "video_clock": True})
    assert found.sources[0].parse().acc_time_s[0] == 3


def test_a_changed_description_is_a_changed_source(raw):
    """What is prepared again is decided by what the parser was given: the YAML's content must be in it."""
    raw.mkdir()
    (raw / "t.csv").write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    first, same, other = (find(raw, PLAIN | {"acc_unit": unit}).sources[0].parse.args for unit in ("g", "g", "mg"))
    assert repr(first) == repr(same) != repr(other)


# ------------------------------------------------------------- annotations


def with_labels(folder, labels, rows=200, **annotations):
    """The one recording of 4 s, t.csv, with a table of labels."""
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text(labels)
    (folder / "t.csv").write_text(f"t,{HEADER}\n" + "".join(f"{5000 + 20 * k},1,2,3,4,5,6\n" for k in range(rows)))
    clock = {"files": "{subject}.csv", "rate_hz": None, "time": "t", "time_unit": "ms"}
    description = {k: v for k, v in (PLAIN | clock | {"annotations": annotations}).items() if v is not None}
    return find(folder, description).sources[-1].parse()


@pytest.mark.parametrize(
    "rows, more",
    [
        ("0.5,1\n1.5,3.5", {"unit": "s"}),
        ("500,1000\n1500,3500", {"unit": "ms"}),
        ("5.5,6\n6.5,8.5", {"unit": "s", "zero": "time"}),
        ("25,50\n75,175", {"unit": "samples"}),
        ("25,49\n75,174", {"unit": "samples", "end_included": True}),
        ("26,51\n76,176", {"unit": "samples", "first_sample": 1}),
        ("26,50\n76,175", {"unit": "samples", "first_sample": 1, "end_included": True}),
    ],
)
def test_stretches_are_counted_in_any_way(raw, rows, more):
    first, second = rows.split("\n")
    labels = f"from,to,what\n{second},walk\n{first},sit\n"  # in any order
    recording = with_labels(raw, labels, **STRETCHES | more)
    assert recording.label == "" and [s.label for s in recording.segments] == ["sit", "walk"]
    got = [t for s in recording.segments for t in (s.start_s, s.end_s)]
    np.testing.assert_allclose(got, [0.5, 1, 1.5, 3.5], atol=1e-9)


def test_stretches_are_cut_where_the_recording_ends(raw):
    recording = with_labels(raw, "from,to,what\n-1,1,a\n3,9,b\n9,12,c\n", unit="s", **STRETCHES)
    assert recording.segments == (Segment(0, 1, "a"), Segment(3, pytest.approx(4), "b"))
    assert recording.notes["labels_outside"] == 1
    recording = with_labels(raw, "from,to,what\n100,300,b\n250,300,c\n", unit="samples", **STRETCHES)
    assert recording.segments == (Segment(2, pytest.approx(4), "b"),) and recording.notes["labels_outside"] == 1


def test_rows_belong_to_the_recording_they_name(raw):
    labels = "who,from,to,what\n01,0,1,a\n1.0,1,2,b\n2,0,4,c\nt,2,3,d\n"
    with_labels(raw, labels, unit="s", match={"who": "{subject}"}, **STRETCHES)
    (raw / "t.csv").rename(raw / "1.csv")
    recording = with_labels(raw, labels, unit="s", match={"who": "{subject}"}, **STRETCHES)
    assert [s.label for s in recording.segments] == ["d"]
    first = next(s for s in find(raw, yaml.safe_load((raw.parent / "raw.yaml").read_text())).sources if s.id == "1")
    assert [s.label for s in first.parse().segments] == ["a", "b"]


def test_a_label_of_a_whole_recording(raw):
    whole = {"files": "labels.csv", "label": "what", "match": {"who": "{stem}"}}
    assert with_labels(raw, "who,what\nother,sit\nt,walk\n", **whole).label == "walk"
    assert with_labels(raw, "who,what\nother,sit\n", **whole).label == ""
    with pytest.raises(BadRecording, match=r"several_labels: .*labels\.csv: has 2 labels .*walk, sit"):
        with_labels(raw, "who,what\nt,walk\nt,sit\n", **whole)


@pytest.mark.parametrize("rows, says", [("2,1,a", "goes from 2 to 1"), ("0,2,a\n1,3,b", "'b' begins at 1.00 s")])
def test_stretches_that_cannot_be_are_refused(raw, rows, says):
    with pytest.raises(BadRecording, match=f"bad_interval: .*labels.csv: .*{says}"):
        with_labels(raw, f"from,to,what\n{rows}\n", unit="s", **STRETCHES)


def test_a_missing_table_of_labels_costs_the_recording(raw):
    raw.mkdir()
    (raw / "t.csv").write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    found = find(raw, PLAIN | {"annotations": STRETCHES | {"files": "{stem}_labels.txt", "unit": "s"}})
    assert [(r.id, r.reason) for r in found.rejected] == [("t", "missing_annotations")]


# ------------------------------------------------------------- two files, several sensors


def test_the_gyroscope_has_a_file_of_its_own(raw):
    """Other rate, other instants, other number of rows; one of each without the other is named."""
    raw.mkdir()
    for name, first, step, count in (
        ("acc_1", 100, 20, 5),
        ("gyro_1", 107, 10, 9),
        ("acc_2", 0, 1, 3),
        ("gyro_3", 0, 1, 3),
    ):
        rows = "".join(f"{first + step * k},{k},2,3\n" for k in range(count))
        (raw / f"{name}.csv").write_text(f"t,x,y,z\n{rows}")
    two = {
        "files": "acc_{trial}.csv",
        "gyro_files": "gyro_{trial}.csv",
        "time": "t",
        "time_unit": "ms",
        "rate_hz": None,
    }
    xyz = {"acc": ["x", "y", "z"], "gyro": ["x", "y", "z"]}
    found = find(raw, {k: v for k, v in (PLAIN | two | xyz).items() if v is not None})
    assert [(r.id, r.reason) for r in found.rejected] == [("acc_2", "missing_gyro"), ("gyro_3.csv", "missing_acc")]
    (recording,) = (source.parse() for source in found.sources)
    np.testing.assert_allclose(recording.acc_time_s, 0.02 * np.arange(5), atol=1e-12)
    np.testing.assert_allclose(recording.gyro_time_s, 0.007 + 0.01 * np.arange(9), atol=1e-12)
    np.testing.assert_array_equal(recording.acc[:, 0], np.arange(5))
    np.testing.assert_array_equal(recording.gyro[:, 0], np.arange(9))


def test_gyroscopes_of_other_folders_are_paired(raw):
    for name in ("a/Acc.csv", "a/Gyro.csv", "b/Gyro.csv"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    found = find(raw, PLAIN | {"files": "**/Acc.csv", "gyro_files": "{folder}/Gyro.csv"})
    assert [s.files for s in found.sources] == [(raw / "a/Acc.csv", raw / "a/Gyro.csv")]
    assert [(r.id, r.reason) for r in found.rejected] == [("b-Gyro.csv", "missing_acc")]


def test_sensors_are_recordings_of_their_own(raw):
    raw.mkdir()
    (raw / "t.csv").write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    arm = {"acc": AXES["gyro"], "gyro": AXES["acc"]}
    (raw.parent / "s.yaml").write_text(yaml.safe_dump(PLAIN | {"sensors": {"hip": AXES, "arm": arm}}, sort_keys=False))
    read = {
        names: [source.parse() for source in table.find(raw, raw.parent / "s.yaml", names and list(names)).sources]
        for names in (None, ("arm",), ("arm", "hip"))
    }
    assert [(r.id, r.acc[0, 0], r.notes["sensor"]) for r in read[None]] == [("t", 1, "hip")]
    assert [(r.id, r.acc[0, 0], r.notes["sensor"]) for r in read["arm",]] == [("t", 4, "arm")]
    assert [(r.id, r.acc[0, 0], r.session) for r in read["arm", "hip"]] == [("t-arm", 4, "t"), ("t-hip", 1, "t")]
    with pytest.raises(ConfigError, match=r"s\.yaml: has no sensor head, it has hip, arm"):
        table.find(raw, raw.parent / "s.yaml", ["head"])
    find(raw, PLAIN)
    with pytest.raises(ConfigError, match=r"raw\.yaml: has no sensors"):
        table.find(raw, raw.parent / "raw.yaml", ["head"])


def test_each_axis_may_have_its_scale(raw):
    recording = read(raw, f"{HEADER}\n1,2,3,4,5,6\n", acc_counts_per_unit=[2, -4, 8], gyro_counts_per_unit=-1)
    np.testing.assert_array_equal(recording.acc, [[0.5, -0.5, 0.375]])
    np.testing.assert_array_equal(recording.gyro, [[-4, -5, -6]])


def test_gravity_that_stands_apart_is_added(raw):
    content = f"{HEADER},qx,qy,qz\n1,2,3,4,5,6,10,20,30\n"
    recording = read(raw, content, gravity=["qx", "qy", "qz"], acc_counts_per_unit=-1)
    np.testing.assert_array_equal(recording.acc, [[-11, -22, -33]])


def test_a_dataset_that_moved_is_the_same(raw, tmp_path):
    raw.mkdir()
    (raw / "t.csv").write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    first = repr(find(raw, PLAIN).sources[0].parse.args)
    assert repr(find(raw.rename(tmp_path / "other"), PLAIN).sources[0].parse.args) == first


# ------------------------------------------------------------- forms of text


def test_other_separators_decimals_and_headerless_files(raw):
    comma = "ax;ay;az;gx;gy;gz\n1,5;2;3;4;5;6\n"
    np.testing.assert_array_equal(read(raw, comma, separator=";", decimal=",").acc, [[1.5, 2, 3]])
    blanks = "1.5  2 3\t4 5 6\r\n  7 8 9 10 11 12 \n"
    columns = [*AXES["acc"], *AXES["gyro"]]
    np.testing.assert_array_equal(read(raw, blanks, separator=" ", columns=columns).acc, [[1.5, 2, 3], [7, 8, 9]])
    with pytest.raises(BadRecording, match="text_cell: .*line 2, column ay holds '2,x'"):
        read(raw, "ax;ay;az;gx;gy;gz\n1,5;2,x;3;4;5;6\n", separator=";", decimal=",")
    with pytest.raises(BadRecording, match="short_row: .*line 2"):
        read(raw, "1 2 3 4 5 6\n1 2 3\n1 2 3 4 5 6\n", separator=" ", columns=columns)


def test_decimal_commas_that_nobody_spoke_of_are_refused(raw):
    with pytest.raises(BadRecording, match="text_cell: .*'1,5'"):
        read(raw, "ax;ay;az;gx;gy;gz\n1,5;2;3;4;5;6\n", separator=";")
    with pytest.raises(BadRecording, match="long_row: .*line 2 has 12 fields, want 6"):
        read(raw, f"{HEADER}\n1,5,2,5,3,5,4,5,5,5,6,5\n")


def test_columns_that_are_not_used_may_share_a_name(raw):
    recording = read(raw, f"x,{HEADER},x\n0,1,2,3,4,5,6,0\n")
    np.testing.assert_array_equal(recording.acc, [[1, 2, 3]])


def test_a_wrong_column_says_what_there_is(raw):
    with pytest.raises(BadRecording, match="missing_column: .*column acc_x; its columns are ax, ay.*YAML"):
        read(raw, f"{HEADER}\n1,2,3,4,5,6\n", acc=["acc_x", "ay", "az"])


# ------------------------------------------------------------- descriptions that cannot be used


@pytest.mark.parametrize(
    "change, says",
    [
        ({"acc_units": "g"}, "unknown setting 'acc_units'; did you mean acc_unit"),
        ({"acc_unit": "G"}, "acc_unit = 'G'"),
        ({"acc": ["ax", "ay"]}, "acc = "),
        ({"acc_unit": None}, "acc_unit"),
        ({"time": "t"}, "either time .* or rate_hz"),
        ({"rate_hz": None}, "either time .* or rate_hz"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"rate_hz": None, "time": "t"}, "time_unit"),
        ({"gyro": None}, "gyro and gyro_unit go together"),
        ({"decimal": ","}, "both a comma"),
        ({"files": "{person}/*.csv"}, r"files has \{person\}, it may have \{subject\}"),
        ({"files": "/data/*.csv"}, "below --raw"),
        ({"files": "../*.csv"}, "below --raw"),
        ({"video": "{subject}.mp4"}, r"video has \{subject\}, which files does not have"),
        ({"files": "{label}/*.csv", "label": "what"}, "label is a column, and a part of the path"),
        ({"labels": {0: "a"}}, "there are none"),
        ({"video_clock": True}, "video_clock needs"),
        ({"subjects": {1: "a"}}, "there are none"),
        ({"acc_counts_per_unit": [1, 0, 1]}, "acc_counts_per_unit must not be 0"),
        ({"files": "{subject:[}.csv"}, "no regular expression"),
        ({"gyro_files": "{trial}.csv"}, r"gyro_files has \{trial\}"),
        ({"separator": ";", "line_end": ";"}, "both a semicolon"),
        ({"annotations": {"files": "../l.csv", "label": "l"}}, "below --raw"),
        ({"annotations": {"files": "l.csv", "label": "l", "start": "a"}}, "start, end and unit go together"),
        ({"annotations": {"files": "l.csv", "label": "l", "end_included": True}}, "about unit: samples"),
        ({"annotations": {"files": "l.csv", "label": "l", "match": {"a": "{trial}"}}}, r"match\.a has \{trial\}"),
        ({"annotations": {"files": "l.csv", "label": "l"}, "label": "what"}, "choose one"),
        ({"annotations": STRETCHES | {"unit": "s", "zero": "time"}}, "needs a time column"),
        ({"annotations": STRETCHES | {"unit": "samples", "zero": "time"}}, "zero: time"),
        ({"video_clock": True, "video": "v.mp4", "rate_hz": None, "time": "t", "time_unit": "date"}, "no dates"),
    ],
)
def test_wrong_descriptions_are_named(raw, change, says):
    raw.mkdir()
    (raw / "t.csv").write_text(f"{HEADER}\n1,2,3,4,5,6\n")
    with pytest.raises(ConfigError, match=rf"raw\.yaml: .*{says}"):
        find(raw, PLAIN | change)


def test_the_example_beside_the_description_is_valid():
    example = inspect.getdoc(described).split("\n\n")[1]
    how = build(TableConfig, yaml.safe_load(example), "example")
    assert how.files == "{subject}/{label}/*.csv" and len(example.splitlines()) <= 15


@pytest.mark.parametrize("name", DESCRIBED)
def test_shipped_descriptions_are_valid(name):
    file = FORMATS[name].table
    sensors = yaml.safe_load(file.read_text()).get("sensors")
    assert list(table.descriptions(file, list(sensors or ()))) == list(sensors or [""])
    assert all(len(how.labels) > 1 for how in table.descriptions(file, None).values())


def test_a_yaml_that_is_none_or_missing_is_named(raw, tmp_path):
    raw.mkdir()
    with pytest.raises(ConfigError, match="not valid YAML"):
        find(raw, None, text="files: {subject}/*.csv\n")
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        table.find(raw, tmp_path / "gone.yaml")
    with pytest.raises(FileNotFoundError, match=r"no file like \*\.csv"):
        find(raw, PLAIN)


# ------------------------------------------------------------- Parquet


def test_parquet_without_its_reader_is_refused_with_a_remedy(raw, monkeypatch):
    raw.mkdir()
    (raw / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        find(raw, PLAIN | {"files": "*.parquet"})


@pytest.fixture
def parquet(raw):
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow: pip install pyarrow")
    raw.mkdir()

    def read(content, **more):
        content.to_parquet(raw / "t.parquet") if isinstance(content, pd.DataFrame) else (raw / "t.parquet").write_bytes(
            content
        )
        changed = PLAIN | {"files": "*.parquet", "rate_hz": None, "time": "t", "time_unit": "date"} | more
        (source,) = find(raw, {k: v for k, v in changed.items() if v is not None}).sources
        return source.parse()

    return read


def test_parquet_gives_what_the_same_csv_gives(raw, parquet, tmp_path):
    count = 20
    rng = np.random.default_rng(0)
    content = pd.DataFrame(rng.standard_normal((count, 6)).astype(np.float32), columns=HEADER.split(","))
    content["t"] = pd.date_range("2024-05-01T10:00:00.123", periods=count, freq="20ms")
    content["what"] = pd.Series([1, 2] * 10, dtype="Int64").mask(pd.Series([False] * 18 + [True] * 2))
    more = {"label": "what", "labels": {1: "a", 2: "b"}}
    from_parquet = parquet(content, **more)
    lines = content.assign(t=content["t"].astype(str), what=content["what"].astype("string").fillna(""))
    from_csv = read(tmp_path / "csv", lines.to_csv(index=False), time="t", time_unit="date", rate_hz=None, **more)
    np.testing.assert_array_equal(from_parquet.acc_time_s, from_csv.acc_time_s)
    np.testing.assert_allclose(from_parquet.acc, from_csv.acc, rtol=1e-6)
    np.testing.assert_allclose(from_parquet.gyro, from_csv.gyro, rtol=1e-6)
    assert from_parquet.segments == from_csv.segments and len(from_csv.segments) == 18


def test_bad_parquet_is_named(parquet):
    with pytest.raises(BadRecording, match=r"unreadable_parquet: .*t\.parquet"):
        parquet(b"PAR1 and no more")
    with pytest.raises(BadRecording, match="missing_column: .*ax.*columns are x"):
        parquet(pd.DataFrame({"x": [1.0]}))
    words = {name: ["a"] for name in (*HEADER.split(","), "t")}
    with pytest.raises(BadRecording, match="text_cell: .*column ax is (large_)?string, want numbers"):
        parquet(pd.DataFrame(words))
    with pytest.raises(BadRecording, match="empty_parquet"):
        parquet(pd.DataFrame({name: [] for name in words}))


# ------------------------------------------------------------- real tables


def test_daphnet_has_no_gyroscope(real_data, tmp_path):
    names = ["ms", *(f"{place}_{axis}" for place in ("ankle", "thigh", "trunk") for axis in "xyz"), "annotation"]
    description = {"files": "*.txt.gz", "columns": names, "separator": " ", "time": "ms", "time_unit": "ms",
                   "acc": names[7:10], "acc_unit": "mg", "label": "annotation"}  # fmt: skip
    (tmp_path / "daphnet.yaml").write_text(yaml.safe_dump(description))
    (source,) = table.find(real_data / "daphnet", tmp_path / "daphnet.yaml").sources
    with pytest.raises(BadRecording, match=r"missing_gyro: .*S03R02\.txt\.gz.*--missing_gyro zeros"):
        source.parse()


def test_daphnet_is_read_whole_where_another_sensor_stands_in(real_data, tmp_path):
    """Its columns, units, blanks and labels are understood: only the gyroscope is missing."""
    names = ["ms", *(f"{place}_{axis}" for place in ("ankle", "thigh", "trunk") for axis in "xyz"), "annotation"]
    description = {"files": "*.txt.gz", "columns": names, "separator": " ", "time": "ms", "time_unit": "ms",
                   "acc": names[1:4], "acc_unit": "mg", "gyro": names[4:7], "gyro_unit": "deg/s", "label": "annotation",
                   "labels": {0: "", 1: "no_freezing", 2: "freezing"}}  # fmt: skip
    (tmp_path / "daphnet.yaml").write_text(yaml.safe_dump(description))
    (source,) = table.find(real_data / "daphnet", tmp_path / "daphnet.yaml").sources
    recording = source.parse()
    with gzip.open(real_data / "daphnet" / "S03R02.txt.gz", "rt") as file:
        rows = np.loadtxt(file)
    np.testing.assert_allclose(recording.acc, rows[:, 1:4] / 1000 * 9.80665)
    np.testing.assert_allclose(recording.acc_time_s, (rows[:, 0] - rows[0, 0]) / 1000)
    assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(9.8, abs=1.5)
    for name, number in (("no_freezing", 1), ("freezing", 2)):
        length = sum(s.end_s - s.start_s for s in recording.segments if s.label == name)
        assert length == pytest.approx((rows[:, -1] == number).sum() / 64, rel=0.01)


def test_a_file_like_those_of_glasses(tmp_path):
    """Time since 1970 in ms, g and deg/s, names with blanks and brackets, two clocks in one row."""
    raw = tmp_path / "raw"
    (raw / "User1").mkdir(parents=True)
    count = 600
    time_ms = 1_600_000_000_000 + 10 * np.arange(count)
    rows = [f"{t},{(t - time_ms[0]) / 1000},0.01,1.0,-0.02,0,90,0" for t in time_ms]
    head = "epoch (ms),elapsed (s)," + ",".join([f"{a}-axis (g)" for a in "xyz"] + [f"{a}-axis (deg/s)" for a in "xyz"])
    with gzip.open(raw / "User1" / "3_Glasses.csv.gz", "wt", encoding="utf-8-sig", newline="\r\n") as file:
        file.write("\n".join([head, *rows]) + "\n")
    description = {"files": "{subject}/*_Glasses.csv.gz", "time": "epoch (ms)", "time_unit": "ms", "acc_unit": "g",
                   "gyro_unit": "deg/s", "acc": [f"{a}-axis (g)" for a in "xyz"],
                   "gyro": [f"{a}-axis (deg/s)" for a in "xyz"]}  # fmt: skip
    (source,) = find(raw, description).sources
    done = process(source.parse())
    assert source.id == "User1-3_Glasses" and done.acc.rate_hz == pytest.approx(100)
    np.testing.assert_allclose(done.parts[0].imu[100], [0.0980665, 9.80665, -0.196133, 0, np.pi / 2, 0], atol=1e-5)


def test_a_real_file_of_glasses(real_data, tmp_path):
    """Accelerometer of one real file, its own columns standing in for the gyroscope's, against its own format."""
    own = classyglass.find(real_data / "classyglass", ["Dataset_2"]).sources[0]
    path = own.files[0]
    axes = [f"{a}-axis (g)" for a in "xyz"]
    description = {"files": f"*/*/{path.name}", "time": "epoch (ms)", "time_unit": "ms", "acc_unit": "g",
                   "gyro_unit": "deg/s", "acc": axes, "gyro": axes}  # fmt: skip
    (tmp_path / "glasses.yaml").write_text(yaml.safe_dump(description))
    sources = table.find(real_data / "classyglass", tmp_path / "glasses.yaml").sources
    got = next(source for source in sources if source.files[0] == path).parse()
    np.testing.assert_array_equal(got.acc, own.parse().acc)
