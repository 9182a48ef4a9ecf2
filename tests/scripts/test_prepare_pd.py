"""Patients' tables as the paper's authors have them, through the whole command; windows against the written numbers."""

import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from datasets.masking import MEASURES
from datasets.preparation.verify import verify
from datasets.store import Store, quality_path
from datasets.windows import list_windows
from scripts import prepare

CHANNELS = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
SI = np.array([9.80665 / 4096] * 3 + [np.pi / 180 / 32.8] * 3)  # of one count
RAW = ["--acc_counts_per_g", "4096", "--gyro_counts_per_deg_s", "32.8"]


def counts(rows, seed=0):
    """(N, 6) integers that rise with every row, so that the median of five in a row is the middle one."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 9, (rows, 6)).cumsum(0) + [0, 4096 - 3 * rows, 0, 0, 0, 0]).astype(int)


def write(path, values, **columns):
    """Text columns first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(columns | dict(zip(CHANNELS, np.transpose(values), strict=True)))
    table.to_csv(path, index=False)


def run(folder, *flags):
    words = ["--format", "pd", "--raw", str(folder / "raw"), "--out", str(folder / "out"), "--num_workers", "1"]
    prepare.main([*words, *flags])
    store = Store(folder / "out")
    assert verify(store.root)[1] == []
    return store


def check(store, name, values, samples):
    """Window k is rows 250 k to 250 k + 249; the first and last two have mirrored neighbours in their median."""
    signal = list_windows(store)
    of_it = signal.subset(store.recordings["id"].to_numpy()[signal.recording] == name)
    assert of_it.start.tolist() == list(range(0, samples // 250 * 250, 250))
    windows = of_it.imu(np.arange(len(of_it)), "none").transpose(0, 2, 1).reshape(-1, 6)
    expected = np.asarray(values * SI)[: len(windows)]
    np.testing.assert_allclose(windows[2:-2], expected[2:-2], rtol=2e-6, atol=2e-6)


def test_raw_counts_without_useful_stamps(tmp_path):
    values = counts(760)
    seconds = [f"2021/03/05 10:00:{k // 50:02d} PM" for k in range(760)]
    for name, columns in {"seconds": {"time": seconds}, "empty": {"time": [""] * 760}, "none": {}}.items():
        write(tmp_path / f"raw/P1/walking/{name}.csv", values, **columns)
    with pytest.raises(SystemExit, match="nothing could be prepared"):
        run(tmp_path, *RAW)
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv").set_index("id")
    reasons = {"empty": "missing_acc", "none": "missing_column", "seconds": "whole_seconds"}
    assert rejected["reason"].to_dict() == {f"P1-walking-{name}": reason for name, reason in reasons.items()}
    assert "--rate_hz 50" in rejected["detail"]["P1-walking-seconds"]
    store = run(tmp_path, *RAW, "--rate_hz", "50")
    for name in reasons:
        check(store, f"P1-walking-{name}", values, 760)
    columns = store.recordings[["subject", "label", "samples", "source_rate_hz"]]
    assert columns.values.tolist() == [["P1", "walking", 760, 50]] * 3
    assert store.info["settings"]["acc_counts_per_g"] == 4096


def clock(k, form):
    time = datetime(2021, 3, 5, 11, 59, 55) + timedelta(milliseconds=20 * k)
    half = f"{time.hour % 12 or 12}:{time:%M:%S}.{time.microsecond // 1000:03d} {'PM' if time.hour >= 12 else 'AM'}"
    return {"12 h": f"{time:%Y/%m/%d} {half}", "24 h": f"{time:%Y/%m/%d %H:%M:%S.%f}"[:-3]}[form]


@pytest.mark.parametrize("form", ["12 h", "24 h"])
def test_stamps_with_their_date_over_noon(tmp_path, form):
    values = counts(600, seed=1)
    times = [clock(k, form) for k in range(600)]
    write(tmp_path / "raw/P1/turning/a.csv", values, time=times)
    write(tmp_path / "raw/P1/turning/hole.csv", np.delete(values, slice(300, 310), 0), time=times[:300] + times[310:])
    store = run(tmp_path, *RAW)
    check(store, "P1-turning-a", values, 600)
    check(store, "P1-turning-hole_part2", values[310:], 290)  # stamps were read: ten rows are missing


def test_a_separate_date_over_midnight(tmp_path):
    values = counts(600, seed=2)
    times = [datetime(2021, 12, 31, 23, 59, 55) + timedelta(milliseconds=20 * k) for k in range(600)]
    of_day = {"24 h": "%H:%M:%S.%f", "12 h": "%I:%M:%S.%f %p"}
    for name, form in of_day.items():
        write(tmp_path / f"raw/P1/bending/{name}.csv", values, day=[f"{t:%Y/%m/%d}" for t in times],
              clock=[f"{t:{form}}" for t in times])  # fmt: skip
    store = run(tmp_path, *RAW, "--time_column", "clock", "--date_column", "day")
    for name in of_day:
        check(store, f"P1-bending-{name.replace(' ', '_')}", values, 600)
    with pytest.raises(SystemExit, match="missing_column 2"):
        run(tmp_path, *RAW, "--time_column", "clock")


LENGTHS = {"short": 199, "four": 200, "almost": 249, "whole": 250, "more": 251, "long": 610}


def test_short_last_windows_are_filled_up(tmp_path, capsys):
    tables = {name: counts(rows, seed=rows) for name, rows in LENGTHS.items()}
    for name, values in tables.items():
        write(tmp_path / f"raw/P1/sitting/{name}.csv", values)
    plain = run(tmp_path, *RAW, "--rate_hz", "50")
    assert plain.recordings["samples"].tolist() == [610, 251, 250]  # long, more, whole
    assert "padded" not in "".join(plain.recordings["notes"])
    moments = {name: (plain.means[k], plain.stds[k]) for k, name in enumerate(plain.recordings["id"])}

    store = run(tmp_path, *RAW, "--rate_hz", "50", "--pad_last")
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert rejected[["id", "reason"]].values.tolist() == [["P1-sitting-short", "too_short"]]
    assert "want 4 s" in rejected["detail"][0]
    assert store.info["settings"]["pad_last"] is True and store.masked.empty
    windows = list_windows(store)
    by_dataset = []
    for number, name in enumerate(store.recordings["id"]):
        rows = LENGTHS[name.removeprefix("P1-sitting-")]
        filled = -rows % 250
        assert store.recordings["samples"][number] == rows + filled
        assert json.loads(store.recordings["notes"][number]).get("padded_samples", 0) == filled
        own = np.flatnonzero(windows.recording == number)
        scaled, plain_si = (windows.imu(own, how).transpose(0, 2, 1).reshape(-1, 6) for how in ("recording", "none"))
        expected = tables[name.removeprefix("P1-sitting-")] * SI
        np.testing.assert_allclose(plain_si[2 : rows - 2], expected[2:-2], rtol=2e-6, atol=2e-6)
        np.testing.assert_array_equal(scaled[rows:], np.zeros((filled, 6)))
        np.testing.assert_allclose(scaled[:rows].mean(0, dtype=float), 0, atol=1e-5)
        np.testing.assert_allclose(scaled[:rows].std(0, dtype=float), 1, atol=1e-5)  # filling does not count
        by_dataset.append(windows.imu(own, "dataset").transpose(0, 2, 1).reshape(-1, 6)[:rows])
        if name in moments:
            np.testing.assert_array_equal((store.means[number], store.stds[number]), moments[name])
        if filled:
            gravity = np.linalg.norm(plain_si[rows:, :3], axis=1)
            np.testing.assert_allclose(gravity, np.linalg.norm(plain_si[:rows, :3].mean(0)), rtol=1e-5)
        measures = np.load(quality_path(store.root, name))
        assert measures.shape == (len(own), len(MEASURES))
        assert np.isnan(measures[-1]).all() == (name == "P1-sitting-more")  # 1 sample of signal: not measured
    joined = np.concatenate(by_dataset)
    np.testing.assert_allclose(joined.mean(0, dtype=float), 0, atol=1e-5)
    np.testing.assert_allclose(joined.std(0, dtype=float), 1, atol=1e-5)
    capsys.readouterr()
    run(tmp_path, *RAW, "--rate_hz", "50", "--pad_last")
    assert "0 prepared, 5 kept from before" in capsys.readouterr().out
    assert run(tmp_path, *RAW, "--rate_hz", "50", "--no-pad_last").recordings["samples"].tolist() == [610, 251, 250]
