"""Falls against everything else: which windows are learnt from, which are scored, and what is measured of them."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

import downstream
from configs.constants import IMU_RATE_HZ
from configs.evaluation import FeaturesConfig
from datasets.protocols.detection import CLASSES
from datasets.protocols.few_shot import build_task
from datasets.protocols.few_shot_results import describe
from datasets.recording import Segment
from models import readers
from scripts import features, report
from tests.prepared import write_dataset
from utils.comparison import compare_runs

LABELS = ["fall_back", "fall_front", "sitting", "walking", "walking"]
SECONDS, WINDOW_S, STRIDE_S = 15, 5, 1


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("falls")
    write_dataset(root / "home", LABELS * 6, seconds=SECONDS, video=False, subjects=6)
    spans = (Segment(0, 9, "walking"), Segment(9, 15, "fall_back"), Segment(15, 30, "sitting"))
    write_dataset(root / "parts", ["fall_back", "sitting", "walking"] * 4, 30, video=False, segments=spans)
    return root


def config(root, **changes):
    settings = {"dataset": "home", "data_root": root, "shots": [2, 4], "draws": 2, "detect": ["fall_*"]}
    return FeaturesConfig(**settings | {"split": "leave_one_group_out", "stride_s": STRIDE_S} | changes)


def impact(signal):
    """Start, in seconds, of the window in whose middle the strongest acceleration is, one window after the other."""
    length = [float(np.sqrt((row[:3].astype(np.float64) ** 2).sum())) for row in signal]
    peak, best = int(np.argmax(length)), None
    for start in range(0, SECONDS - WINDOW_S + 1, STRIDE_S):
        first, end = start * IMU_RATE_HZ, (start + WINDOW_S) * IMU_RATE_HZ
        if first <= peak < end:
            off = abs((peak - first) - (end - first - 1) / 2)
            if best is None or off < best[0]:
                best = (off, start)
    return best[1]


def test_shots_of_an_event_hold_its_impact(world):
    task = build_task(config(world))
    ids, table = np.array(task.windows.ids()), task.windows.store.recordings
    expected = {
        f"{row.id}@{impact(task.windows.store.imu(number)):g}"
        for number, row in enumerate(table.itertuples())
        if row.label.startswith("fall")
    }
    others, events = zip(*(draw.shots for draw in task.draws), strict=True)
    assert task.windows.classes == ("other", "event")
    assert {ids[i] for own in events for i in own} <= expected and all(len(own) == 4 for own in (*others, *events))
    assert {table["label"][task.windows.recording[i]] for own in others for i in own} == {"sitting", "walking"}


def test_every_window_of_everybody_is_scored(world):
    task = build_task(config(world))
    for number in range(2):
        folds = [draw for draw in task.draws if draw.number == number]
        assert sorted(np.concatenate([draw.test for draw in folds])) == list(range(30 * 11))
        for draw in folds:
            assert not set(task.groups[draw.test]) & set(task.groups[draw.learnt_from])
    assert "12 events, false alarms in 0.0" in describe(task) and "cannot be seen" in describe(task)


def test_a_recording_is_one_stretch(world):
    task = build_task(config(world))
    found = task.stretches
    assert len(found.is_event) == 30 and found.hours == pytest.approx(np.full(30, SECONDS / 3600))
    assert found.follows.sum() == 30 * 10 and found.is_event.sum() == 12
    of = task.windows.recording[found.position]
    assert (np.diff(of) >= 0).all() and (np.diff(task.windows.start[found.position])[np.diff(of) == 0] == 50).all()
    assert found.group[found.number].tolist() == task.groups[found.position].tolist()


def test_a_segment_is_one_stretch(world):
    whole = build_task(config(world, dataset="parts", window_s=4.0)).stretches
    assert whole.is_event.reshape(12, 3).tolist() == [[False, True, False]] * 12
    assert whole.hours.reshape(12, 3) * 3600 == pytest.approx(np.tile([9, 6, 15], (12, 1)))
    partly = build_task(config(world, dataset="parts", window_s=4.0, label_share=0.75)).stretches
    assert partly.is_event.reshape(12, 3).tolist() == [[False, True, False]] * 12
    assert partly.hours.reshape(12, 3) * 3600 == pytest.approx(np.tile([10, 8, 16], (12, 1)))


def test_some_people_are_predicted_by_others(world):
    task = build_task(config(world, split="recording", test_subjects=["s1", "s4"]))
    found = task.stretches
    assert set(found.group) == {"subject s1", "subject s4"} and len(found.is_event) == 10
    assert set(task.windows.subject[found.position]) == {"s1", "s4"}
    assert all(len(draw.test) == 110 and set(draw.test) == set(found.position) for draw in task.draws)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"split": "group"}, "leave_one_group_out"),
        ({"windows_per_recording": "centre"}, "leave windows_per_recording out"),
    ],
)
def test_settings_that_do_not_go_with_detection(world, changes, message):
    with pytest.raises(ValueError, match=message):
        config(world, **changes)


def test_names_of_events_that_are_refused(world):
    with pytest.raises(ValueError, match="no class is called 'fal_back'; did you mean fall_back"):
        build_task(config(world, detect=["fal_back"]))
    with pytest.raises(ValueError, match="leaves no other class"):
        build_task(config(world, detect=["*"]))
    with pytest.raises(ValueError, match="event: 10 windows without subject s0, 11 are needed"):
        build_task(config(world, shots=[11]))  # one of each fall, not 110


@pytest.mark.parametrize("head", ["linear", "logistic", "trees", "lp"])
def test_results_follow_from_the_scores(world, tmp_path, monkeypatch, head):
    monkeypatch.setitem(readers.TREES, "trees", 10)
    words = f"--dataset home --data_root {world} --runs_root {tmp_path} --run_name run --detect fall_* --stride_s 5 "
    words += "--split leave_one_group_out --shots 2 4 --draws 2 --report --num_workers 1 --device cpu "
    deep = head == "lp"
    words += f"--mode {head} --random_weights --epochs 1" if deep else f"--head {head}"
    folder = (downstream if deep else features).main(words.split())
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "detection.png").is_file() and results["detection"]["event"] == ["fall_*"]
    table = pd.read_csv(folder / "predictions.csv")
    assert len(table) == 2 * 2 * 30 * 3
    for (shots, draw), rows in table.groupby(["shots", "draw"]):
        recording = rows["window"].str.partition("@")[0]
        assert rows.groupby("stretch")["window"].apply(lambda own: len({i.split("@")[0] for i in own})).eq(1).all()
        best = rows.groupby(recording.to_numpy()).agg({"score": "max", "truth": "first"})
        is_event = (best["truth"] == "event").to_numpy()
        scores = results["shots"][str(shots)]
        assert scores["auprc"]["values"][draw] == pytest.approx(average_precision_score(is_event, best["score"]))
        quiet = best["score"][~is_event].max()  # in 0.07 h one false alarm is too many
        assert scores["sensitivity_at_1_per_h"]["values"][draw] == (best["score"][is_event] > quiet).mean()
        called = rows.assign(called=rows["predicted"] == "event").groupby(recording.to_numpy())["called"].any()
        recall = [(called[is_event]).mean(), (~called[~is_event]).mean()]
        assert scores["balanced_accuracy"]["values"][draw] == pytest.approx(np.mean(recall))
        sure = rows.groupby("predicted")["score"]
        if len(sure) == 2:  # the higher score is that of the event
            assert sure.min()["event"] >= sure.max()["other"]
    assert results["chance"]["auprc"] == pytest.approx(12 / 30)
    assert results["shots"]["4"]["interval"]["auprc"]["groups"] == 6
    if head == "trees":
        linear = features.main([*words.split(), "--run_name", "other", "--head", "linear"])
        means = [
            json.loads((run / "results.json").read_text())["shots"]["4"]["balanced_accuracy"]["mean"]
            for run in (folder, linear)
        ]
        found = compare_runs(folder, linear, list(CLASSES), shots=4)
        assert found.difference == pytest.approx(means[0] - means[1])  # of recordings
        page = report.main(["--runs", str(tmp_path), "--out", str(tmp_path / "report")]).read_text()
        assert "AUPRC, %" in page and "sensitivity at 1 false alarm/h, %" in page and "detection.png" in page
        long = pd.read_csv(tmp_path / "report" / "results_long.csv")
        assert {"auprc", "sensitivity_at_1_per_h"} <= set(long.loc[long["chance"].notna(), "metric"])
