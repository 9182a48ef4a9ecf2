"""Public sets by their descriptions: small files laid out as published, and the real ones where they are."""

import gzip
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml

from configs.constants import STANDARD_GRAVITY
from datasets.formats import FORMATS, table
from datasets.preparation.signals import process
from datasets.recording import BadRecording, Segment


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt") if name.endswith(".gz") else open(path, "w") as file:
            file.write(content)


def rows(columns, count, ends="\n"):
    """``count`` lines of what each column gives for its number."""
    return "".join(columns(k) + ends for k in range(count))


def parsed(name, folder, sensor=None):
    found = FORMATS[name].find(folder, sensor)
    assert not found.rejected
    return {source.id: source.parse() for source in found.sources}


# ------------------------------------------------------------- HAPT


@pytest.fixture
def hapt(tmp_path):
    labels = "1 1 5 3 5\n1 1 7 6 8\n46 23 1 1 5\n2 1 1 1 2\n"  # experiments 2 and 46 are not here
    write(
        tmp_path,
        {
            "RawData/acc_exp01_user01.txt": rows(lambda k: f"{k} 0.5 -1", 10),
            "RawData/gyro_exp01_user01.txt": rows(lambda k: f" {k}  2\t3 ", 9),
            "RawData/labels.txt": labels,
        },
    )
    return tmp_path


def test_hapt_as_published(hapt):
    ((name, recording),) = parsed("hapt", hapt).items()
    assert (name, recording.subject, recording.session) == ("exp01_user01", "01", "01_01")
    np.testing.assert_allclose(recording.acc[3], np.array([3, 0.5, -1]) * STANDARD_GRAVITY)
    np.testing.assert_array_equal(recording.gyro[8], [8, 2, 3])
    np.testing.assert_allclose(recording.gyro_time_s, np.arange(9) / 50)
    want = [("standing", 2, 5), ("stand_to_sit", 5, 8)]  # samples 3 to 5, and 6 to 8, counted from 1
    got = [(s.label, s.start_s * 50, s.end_s * 50) for s in recording.segments]
    assert [(a, pytest.approx(b), pytest.approx(c)) for a, b, c in want] == got
    assert recording.counted_time


def test_hapt_without_a_partner_is_named(hapt):
    (hapt / "RawData/acc_exp02_user01.txt").write_text("1 2 3\n")
    (hapt / "RawData/gyro_exp03_user02.txt").write_text("1 2 3\n")
    found = FORMATS["hapt"].find(hapt, None)
    assert [(r.id, r.reason) for r in found.rejected] == [
        ("exp02_user01", "missing_gyro"),
        ("RawData-gyro_exp03_user02.txt", "missing_acc"),
    ]


def test_the_real_hapt(real_data):
    sources = FORMATS["hapt"].find(real_data / "hapt", None).sources
    assert len(sources) == len(list((real_data / "hapt/Raw-Data").glob("acc_*")))
    labels = np.loadtxt(real_data / "hapt/Raw-Data/labels.txt", dtype=int)
    names = dict(line.split() for line in (real_data / "hapt/activity_labels.txt").read_text().splitlines())
    for source in sources[::9]:
        name, recording = source.id, source.parse()
        experiment, user = int(name[3:5]), int(name[-2:])
        want = [
            Segment(pytest.approx((a - 1) / 50), pytest.approx(b / 50), names[str(activity)].lower())
            for e, u, activity, a, b in labels
            if (e, u) == (experiment, user)
        ]
        assert list(recording.segments) == sorted(want, key=lambda s: s.start_s.expected)
        raw = np.loadtxt(real_data / f"hapt/Raw-Data/acc_{name}.txt.gz")
        np.testing.assert_allclose(recording.acc, raw * STANDARD_GRAVITY)
        assert int(recording.subject) == user
        assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(9.95, abs=0.2)


# ------------------------------------------------------------- SisFall


def fall_rows(first, ends=";\n", count=5):
    return rows(lambda k: f"{first + k:4d}, -256,   0,  16384,  0,   0,  1024, -2048,{k:4d}", count, ends)


def test_sisfall_as_published(tmp_path):
    files = {"SA01/F05_SA01_R04.txt": fall_rows(256), "SE06/D19_SE06_R01.txt.gz": fall_rows(0, "\n"), "Readme.txt": "x"}
    write(tmp_path, files)
    recordings = parsed("sisfall", tmp_path)
    fall, jump = recordings["F05_SA01_R04"], recordings["D19_SE06_R01"]
    assert (fall.subject, fall.label) == ("SA01", "fall_forward_jogging_trip")
    assert (jump.subject, jump.label) == ("SE06", "jump_gently")
    np.testing.assert_allclose(fall.acc[0], np.array([1, -1, 0]) * STANDARD_GRAVITY)
    np.testing.assert_allclose(fall.gyro[0], [16384 * 2 * 2000 / 2**16 * np.pi / 180, 0, 0])
    np.testing.assert_allclose(fall.acc_time_s, np.arange(5) / 200)
    other = parsed("sisfall", tmp_path, ["mma8451q"])["F05_SA01_R04"]
    np.testing.assert_allclose(other.acc[1], np.array([1, -2, 1 / 1024]) * STANDARD_GRAVITY)


@pytest.mark.parametrize(
    "line, reason",
    [
        ("1,2,3,4,5,6,7;\n", "short_row"),
        ("1,2,3,4,5,6,7,8,9,10;\n", "long_row"),
        ("1,2,x,4,5,6,7,8,9;\n", "text_cell"),
    ],
)
def test_a_broken_line_costs_its_recording(tmp_path, line, reason):
    good = fall_rows(0)
    write(tmp_path, {"SA07/D01_SA07_R01.txt": good + line + good, "SA07/D02_SA07_R01.txt": good})
    broken, whole = FORMATS["sisfall"].find(tmp_path, None).sources
    with pytest.raises(BadRecording, match=rf"{reason}: .*D01_SA07_R01\.txt: line 6"):
        broken.parse()
    assert whole.parse().label == "walking_quickly"


def test_the_real_sisfall(real_data):
    """Names and conversions against the authors' Readme, files with and without a semicolon at their lines' ends."""
    sources = {s.id: s for s in FORMATS["sisfall"].find(real_data / "sisfall", None).sources}
    published = list((real_data / "sisfall").glob("S*/*.txt.gz"))
    assert len(sources) == len(published)
    for path in (*published[::211], real_data / "sisfall/SA01/D01_SA01_R01.txt.gz"):
        recording = sources[path.name.removesuffix(".txt.gz")].parse()
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        counts = np.array([line.strip("; ").split(",") for line in lines if line.strip()], int)
        np.testing.assert_allclose(recording.acc, counts[:, :3] * (2 * 16 / 2**13) * STANDARD_GRAVITY)
        np.testing.assert_allclose(recording.gyro, counts[:, 3:6] * np.radians(2 * 2000 / 2**16))
        assert recording.subject == path.parent.name and recording.label.startswith("fall") == path.name.startswith("F")
        assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(9.8, abs=1.5)


# ------------------------------------------------------------- sp-sw-har


HEAD = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n"


def test_phone_and_watch_are_two_recordings_of_a_session(tmp_path):
    labels = ["SEATED"] * 4 + ["STANDING_UP"] * 6
    for device, value in (("sp", 1), ("sw", 2)):
        content = rows(lambda k, v=value: f"{v},0,9.8,0.1,0,0,{1657533977813 + 10 * k},{labels[k]}", 10)
        write(tmp_path, {f"DATA/s17/s17_02_{device}.csv": HEAD + content})
    both = parsed("sp_sw_har", tmp_path, ["phone", "watch"])
    assert [(name, r.session, r.notes["sensor"], r.acc[0, 0]) for name, r in both.items()] == [
        ("s17_02_sp-phone", "s17_02", "phone", 1),
        ("s17_02_sw-watch", "s17_02", "watch", 2),
    ]
    for recording in both.values():
        assert [s.label for s in recording.segments] == ["seated", "standing_up"]
        assert recording.segments[0].end_s == pytest.approx(0.04, abs=0.002)
        assert recording.notes["first_stamp_s"] == 1657533977.813
    assert list(parsed("sp_sw_har", tmp_path)) == ["s17_02_sp"]  # the phone, if nothing is said


def test_the_real_runs_are_whole(real_data):
    """The phone hands samples on late and several at once; taken as sampling times, its stamps tear runs apart."""
    found = FORMATS["sp_sw_har"].find(real_data / "sp_sw_har", ["phone", "watch"])
    assert len(found.sources) == 2 * len({s.id[:6] for s in found.sources}) and not found.rejected
    chosen = {"s02_02_sp-phone", "s11_08_sp-phone", "s04_10_sp-phone", "s07_03_sw-watch"}
    seen = 0
    for source in found.sources:
        if source.id not in chosen:
            continue
        seen += 1
        recording, raw = source.parse(), pd.read_csv(source.files[0])
        stamps = (raw["timestamp"] - raw["timestamp"].iloc[0]).to_numpy() / 1000
        lines = np.sort(np.abs(np.diff(recording.acc_time_s) - 1 / 103.4))
        assert lines[int(0.9 * len(lines))] < 0.005  # of the stamps, 0.005 to 0.02
        assert np.median(np.abs(recording.acc_time_s - stamps)) < 0.02
        done = process(recording)
        assert len(done.parts) == 1 and not done.counts
        cuts = np.flatnonzero(raw["label"].to_numpy()[1:] != raw["label"].to_numpy()[:-1])
        assert len(recording.segments) >= len(cuts)
    assert seen == len(chosen)


# ------------------------------------------------------------- UTD-MHAD


def test_clips_have_their_video_and_action(real_data):
    found = FORMATS["utd_mhad"].find(real_data / "utd_mhad", None)
    clips = pd.read_csv(real_data / "utd_mhad/clips.csv").set_index("stem")
    assert len(found.sources) == len(clips) and not found.rejected and len(found.classes) == 27
    for source in found.sources[::50]:
        recording = source.parse()
        row = clips.loc[source.id.replace("-", "/")]
        assert (recording.subject, recording.label) == (row["subject"], row["label"])
        assert recording.video == real_data / "utd_mhad" / f"{row.name}.mp4"
        assert len(recording.acc) / 50 == pytest.approx(row["duration_s"], abs=0.011)
        assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(10.3, abs=1.5)


def test_a_clip_without_its_video_is_named(tmp_path):
    content = "time_s,acc_x_g,acc_y_g,acc_z_g,gyro_x_dps,gyro_y_dps,gyro_z_dps\n0.00,0,0,1,180,0,0\n"
    write(tmp_path, {"s8/a09_t1.csv": content, "s8/a09_t2.csv.gz": content, "s8/a09_t2.mp4": ""})
    found = FORMATS["utd_mhad"].find(tmp_path, None)
    assert [(r.id, r.reason) for r in found.rejected] == [("s8-a09_t1", "missing_video")]
    recording = found.sources[0].parse()
    assert (recording.label, recording.subject) == ("draw_circle_clockwise", "s8")
    np.testing.assert_allclose([recording.acc[0, 2], recording.gyro[0, 0]], [STANDARD_GRAVITY, np.pi])


# ------------------------------------------------------------- sets that nobody here has


def test_wisdm_as_published(tmp_path):
    """Two files of one clock, nanoseconds, letters for activities, a semicolon at the end of lines."""
    start = 252207666810782

    step = 50_354_004  # 19.86 a second

    def line(first, k):
        return f"1600,{'A' if k < 60 else 'S'},{start + first + step * k},{k}.5,8.8,1.0550842"

    for sensor, first in (("accel", 0), ("gyro", 13_000_000)):
        for device in ("phone", "watch"):
            content = rows(partial(line, first), 120, ";\n")
            write(tmp_path, {f"raw/{device}/{sensor}/data_1600_{sensor}_{device}.txt": content})
    both = parsed("wisdm", tmp_path, ["watch", "phone"])
    assert sorted((name, r.session) for name, r in both.items()) == [("1600-phone", "1600"), ("1600-watch", "1600")]
    for recording in both.values():
        assert recording.subject == "1600"
        assert [s.label for s in recording.segments] == ["walking", "folding_clothes"]
        np.testing.assert_allclose(recording.acc_time_s, step / 1e9 * np.arange(120), atol=1e-9)
        np.testing.assert_allclose(recording.gyro_time_s, 0.013 + step / 1e9 * np.arange(120), atol=1e-9)
        np.testing.assert_array_equal(recording.acc[3], [3.5, 8.8, 1.0550842])
        assert len(process(recording).parts) == 1


def test_pamap2_as_published(tmp_path):
    """54 columns without a header, blanks between, NaN, activities as numbers; sensors are columns."""

    def line(k):
        cells = [f"{8.38 + 0.01 * k:.2f}", "0" if k < 3 else "4", "NaN" if k % 9 else "104"]
        return " ".join(cells + [f"{100 * column + k}" if k != 5 else "NaN" for column in range(4, 55)])

    write(tmp_path, {"Protocol/subject101.dat": rows(line, 12), "Optional/subject109.dat": rows(line, 4)})
    both = parsed("pamap2", tmp_path, ["hand", "ankle"])
    assert sorted(both) == [
        f"{place}-{s}" for place in ("Optional-subject109", "Protocol-subject101") for s in ("ankle", "hand")
    ]
    hand, ankle = both["Protocol-subject101-hand"], both["Protocol-subject101-ankle"]
    np.testing.assert_array_equal([hand.acc[2], hand.gyro[2]], [[502, 602, 702], [1102, 1202, 1302]])
    np.testing.assert_array_equal([ankle.acc[2], ankle.gyro[2]], [[3902, 4002, 4102], [4502, 4602, 4702]])
    assert np.isnan(hand.acc[5]).all() and hand.subject == "subject101"
    assert [(s.label, round(s.start_s, 6)) for s in hand.segments] == [("walking", 0.03)]


def test_motion_sense_as_published(tmp_path):
    """Gravity apart from the acceleration, with the phone maker's sign; a path says activity, trial and person."""
    names = [f"{kind}.{axis}" for kind in ("gravity", "rotationRate", "userAcceleration") for axis in "xyz"]
    head = ",attitude.roll,attitude.pitch,attitude.yaw," + ",".join(names) + "\n"
    content = head + rows(lambda k: f"{k},0,0,0,0,0,-1,0.1,0.2,0.3,0,0.25,0", 4)
    write(
        tmp_path,
        {f"A_DeviceMotion_data/{trial}/sub_{n}.csv": content for trial in ("wlk_7", "dws_11") for n in (1, 24)},
    )
    recordings = parsed("motion_sense", tmp_path)
    assert Counter((r.subject, r.label) for r in recordings.values()) == Counter(
        {(n, label): 1 for n in ("1", "24") for label in ("walking", "downstairs")}
    )
    recording = recordings["A_DeviceMotion_data-wlk_7-sub_1"]
    np.testing.assert_allclose(recording.acc[0], np.array([0, -0.25, 1]) * STANDARD_GRAVITY)
    np.testing.assert_array_equal(recording.gyro[0], [0.1, 0.2, 0.3])


def described(folder, description):
    (folder.parent / "own.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return table.find(folder, folder.parent / "own.yaml")


def test_two_files_in_two_folders_with_clocks_of_their_own(tmp_path):
    """As RealWorld2016 is laid out when its archives are unpacked."""
    raw = tmp_path / "raw"
    for place in ("chest", "waist"):
        for kind, long, first, step in (("acc", "acc", 1435990000000, 20), ("gyr", "Gyroscope", 1435990000307, 19)):
            content = "id,attr_time,attr_x,attr_y,attr_z\n" + rows(
                lambda k, f=first, s=step: f"{k},{f + s * k},{k},0,9.8", 30
            )
            write(raw, {f"proband1/data/{kind}_climbingdown_csv/{long}_climbingdown_{place}.csv": content})
    xyz = ["attr_x", "attr_y", "attr_z"]
    found = described(
        raw,
        {"acc": xyz, "gyro": xyz, "acc_unit": "m/s2", "gyro_unit": "rad/s", "time": "attr_time", "time_unit": "ms"}
        | {"sensors": {
            place: {"files": f"{{subject}}/data/acc_{{label}}_csv/acc_{{label}}_{place}.csv",
                    "gyro_files": f"{{subject}}/data/gyr_{{label}}_csv/Gyroscope_{{label}}_{place}.csv"}
            for place in ("waist", "chest")
        }},
    )  # fmt: skip
    (recording,) = (source.parse() for source in found.sources)
    assert (recording.subject, recording.label, recording.notes["sensor"]) == ("proband1", "climbingdown", "waist")
    np.testing.assert_allclose(recording.acc_time_s, 0.02 * np.arange(30), atol=1e-6)
    np.testing.assert_allclose(recording.gyro_time_s, 0.307 + 0.019 * np.arange(30), atol=1e-6)


def test_an_app_that_writes_two_files_and_an_annotator(tmp_path):
    """A folder for each recording, clocks in seconds, stretches that somebody timed with a stopwatch."""
    raw = tmp_path / "raw"
    for name, rate in (("Accelerometer", 100), ("Gyroscope", 104)):
        content = "time,seconds_elapsed,z,y,x\n" + rows(lambda k, r=rate: f"{k},{k / r:.6f},9.8,0,{k}", 8 * rate)
        write(raw, {f"anna/2024-05-01_10-00/{name}.csv": content})
    write(raw, {"labels.csv": "person,begin,end,activity\nanna,1,3.5,W\nanna,4,7,S\nben,0,9,W\n"})
    found = described(
        raw,
        {"files": "{subject}/{session}/Accelerometer.csv", "gyro_files": "{folder}/Gyroscope.csv",
         "acc": ["x", "y", "z"], "gyro": ["x", "y", "z"], "acc_unit": "m/s2", "gyro_unit": "rad/s",
         "time": "seconds_elapsed", "time_unit": "s",
         "subjects": {"anna": "P1"}, "labels": {"W": "walking", "S": "sitting"},
         "annotations": {"files": "labels.csv", "match": {"person": "{subject}"}, "start": "begin", "end": "end",
                         "unit": "s", "label": "activity"}},
    )  # fmt: skip
    recording = found.sources[0].parse()
    assert (recording.subject, recording.session) == ("P1", "P1_2024-05-01_10-00")
    assert recording.segments == (Segment(1, 3.5, "walking"), Segment(4, 7, "sitting"))
    assert process(recording).gyro.rate_hz == pytest.approx(104, rel=1e-4)
    np.testing.assert_array_equal(recording.acc[5], [5, 0, 9.8])
