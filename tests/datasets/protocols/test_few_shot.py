"""The task on a dataset: source recordings in parts, their centre windows, what leaks and what is cut short."""

import json

import numpy as np
import pandas as pd
import pytest

import downstream
from configs.evaluation import FeaturesConfig
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.protocols.few_shot import build_task
from datasets.protocols.few_shot_results import describe
from datasets.recording import Segment
from datasets.store import Store
from models import readers
from scripts import features
from tests.datasets.protocols.test_leakage import with_a_copy
from tests.prepared import write_dataset
from utils.comparison import compare_runs
from utils.tables import evaluation_tables

CLASSES = ["fall", "walking"]
INFO = {"simulated": True, "frame_size": 32, "settings": {}, "versions": {}}


def config(root, **changes):
    settings = {"dataset": root.name, "data_root": root.parent, "shots": [2, 5], "val_samples": 4, "draws": 3}
    return FeaturesConfig(**settings | changes)


def write_parts(root, parts=(1, 3, 12, 4, 2, 5, 3, 2), windows=2):
    """Source recordings that gaps have split into parts of a few windows; the classes take turns."""
    rng = np.random.default_rng(0)
    for number, count in enumerate(parts):
        source = f"source{number}"
        prepared = [
            PreparedRecording(
                id=source if part == 1 else f"{source}_part{part}",
                source=source,
                imu=rng.standard_normal((250 * windows, 6)).astype(np.float32),
                subject="",
                session=f"{source} part {part}",
                label=CLASSES[number % 2],
                source_rate_hz=50.0,
                source_hash=source,
            )
            for part in range(1, count + 1)
        ]
        write_source(root, source, "fingerprint", prepared)
    finalize(root, [f"source{n}" for n in range(len(parts))], [], CLASSES, INFO | {"name": root.name})
    return Store(root)


def sides(task):
    """Of each draw the ids of the windows learnt from and held out."""
    ids = task.windows.ids()
    return [[[ids[i] for i in side] for side in (draw.learnt_from, draw.test)] for draw in task.draws]


def test_parts_of_a_source_recording_stay_together(tmp_path):
    store = write_parts(tmp_path / "toy")
    source_of = dict(zip(store.recordings["id"], store.recordings["source"], strict=True))
    task = build_task(config(tmp_path / "toy"), select=1)
    assert task.kept_apart == "recording" and task.siblings == 0
    for learnt, test in sides(task):
        of_learnt, of_test = ({source_of[name.split("@")[0]] for name in names} for names in (learnt, test))
        assert not of_learnt & of_test and len(learnt) == 2 * 6 and len(test) == 2 * 4
    leaky = build_task(config(tmp_path / "toy", split="window", draws=20))
    shared = [
        len({source_of[name.split("@")[0]] for name in learnt} & {source_of[name.split("@")[0]] for name in test})
        for learnt, test in sides(leaky)
    ]
    assert sum(shared) > 0 and leaky.siblings > 0
    lines = describe(leaky).splitlines()
    share = f"{100 * leaky.siblings:.1f} % of the held-out windows"
    assert lines[1].startswith(f"WARNING: {share}") and "--split recording" in lines[1]
    assert "WARNING" not in describe(task)


def test_centre_windows_over_parts_and_classes(tmp_path):
    """Twelve parts of two windows each: the twelfth of 24 is in part 6, whatever the order of names; in its middle."""
    write_parts(tmp_path / "toy")
    centre = {"windows_per_recording": "centre", "shots": [2], "val_samples": 1}
    task = build_task(config(tmp_path / "toy", **centre))
    assert task.windows.ids() == [
        *("source0@2.5", "source1_part2@2.5", "source2_part6@2.5", "source3_part2@2.5"),
        *("source4@2.5", "source5_part3@2.5", "source6_part2@2.5", "source7@2.5"),
    ]
    assert task.kept_apart == "recording, one window of each recording"
    window = build_task(config(tmp_path / "toy", split="window", **centre))
    assert window.windows.ids() == task.windows.ids() and window.siblings == 0
    changing = (Segment(0, 15, "fall"), Segment(15, 50, "walking"), Segment(50, 60, "fall"))
    write_dataset(tmp_path / "turns", CLASSES * 3, seconds=60, video=False, segments=changing)
    task = build_task(config(tmp_path / "turns", **centre))
    ids = [name for k in range(2) for name in np.array(task.windows.ids())[task.windows.label == k]]
    # of 0 5 10 50 55 it is 10, in 0 to 15; of 15 20 ... 45 it is 30, in 15 to 50
    assert ids == [f"rec{n:03d}@{at}" for at in (5, 30) for n in range(6)]
    for learnt, test in sides(task):
        assert not {name.split("@")[0] for name in learnt} & {name.split("@")[0] for name in test}


def test_a_copy_counts_as_the_recording_that_it_is_of(tmp_path):
    with_a_copy(tmp_path / "toy", "somebody else")
    task = build_task(config(tmp_path / "toy", shots=[12], draws=20))
    together = 0
    for learnt, test in sides(task):
        of = [{name.split("@")[0].replace("copy", "rec000") for name in names} for names in (learnt, test)]
        assert not of[0] & of[1]
        together += "rec000" in of[0] and any(name.startswith("copy") for name in learnt)
    assert together and task.copies == []


ENDS = (("fewest", min), ("most", max))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Three classes of 40, 40 and 12 windows."""
    root = tmp_path_factory.mktemp("uneven")
    labels = ["fall"] * 10 + ["walking"] * 10 + ["standing"] * 3
    write_dataset(root / "data" / "toy", labels, seconds=20, video=False, subjects=4)
    return root


@pytest.mark.parametrize("split", ["recording", "window"])
def test_shortened_classes_in_results_and_tables(uneven, tmp_path, split, capsys, monkeypatch):
    monkeypatch.setitem(readers.TREES, "forest", 5)
    words = f"--dataset toy --data_root {uneven}/data --runs_root {tmp_path} --val_samples 4 --shots 4 20 --draws 2"
    words = [*words.split(), "--split", split, "--small_classes", "shorten", "--report"]
    forest = features.main([*words, "--run_name", "forest", "--head", "forest", "--num_workers", "1"])
    probe = downstream.main([*words, "--run_name", "probe", "--random_weights", "--epochs", "1"])
    results = json.loads((probe / "results.json").read_text())
    assert results["shortened_classes"] == {"standing": {"windows": 12, "fewest_shots": 8, "most_shots": 8}}
    assert results["split"] == results["groups"] == split and (results["siblings_share"] > 0) == (split == "window")
    for draw in json.loads((probe / "draws.json").read_text())["draws"]:
        assert {name: len(ids) for name, ids in draw["shots"].items()} == {"fall": 20, "standing": 8, "walking": 20}
        assert {len(ids) for ids in draw["held_out"].values()} == {4}
    for n in ("4", "20"):
        row = results["shots"][n]
        assert np.array(row["confusion"]).sum(axis=1).tolist() == [2 * 4] * 3
        assert row["balanced_accuracy"]["mean"] == pytest.approx(np.mean(row["recall"]))
        assert json.loads((forest / "results.json").read_text())["shots"][n]["windows_sha256"] == row["windows_sha256"]
        assert compare_runs(forest, probe, results["classes"], shots=int(n)).interval.groups in (3, 4)
    assert len(pd.read_csv(probe / "predictions.csv")) == 2 * 2 * 3 * 4
    line = "fewer windows where more shots are asked for: standing with 8 of its 12."
    assert capsys.readouterr().out.count(line) == 4  # two commands, before and in the table
    assert line in evaluation_tables(results)
    with pytest.raises(ValueError, match="standing: 12 windows, 24 are needed.*--small_classes shorten"):
        downstream.main([*words, "--run_name", "x", "--random_weights", "--small_classes", "refuse"])
    with pytest.raises(ValueError, match="standing: 12 windows, 13 are needed.*val_samples .*keeps 5.* drop"):
        downstream.main([*words, "--run_name", "x", "--random_weights", "--val_samples", "12", "--select_samples", "3"])


@pytest.mark.parametrize("split", ["recording", "group", "window"])
def test_fewer_held_out_windows_are_said(uneven, tmp_path, split, capsys):
    words = f"--dataset toy --data_root {uneven}/data --runs_root {tmp_path} --val_samples 12 --shots 4 20 --draws 3"
    words = [
        *words.split(),
        "--split",
        split,
        "--small_classes",
        "shorten",
        "--report",
        "--classes",
        "walking",
        "standing",
    ]
    if split != "window":  # three recordings, of three people, of four windows: a side with one of them lacks one
        with pytest.raises(ValueError, match="lacks 1 windows, most of them of standing .*: 4, 4, 4"):
            features.main(words)
        return
    results = json.loads((features.main([*words, "--run_name", "f"]) / "results.json").read_text())
    draws = json.loads((tmp_path / "f" / "draws.json").read_text())["draws"]
    sizes = {side: [len(draw[side]["standing"]) for draw in draws] for side in ("shots", "held_out")}
    expected = {"windows": 12} | {f"{word}_{side}": end(own) for side, own in sizes.items() for word, end in ENDS}
    assert (
        results["shortened_classes"] == {"standing": expected} and min(min(sizes["held_out"]), min(sizes["shots"])) >= 5
    )
    assert results["held_out"] == f"{min(sizes['held_out'])} to 12 windows per class"
    assert np.array(results["shots"]["4"]["confusion"]).sum(axis=1).tolist() == [3 * 12, sum(sizes["held_out"])]
    row = results["shots"]["20"]
    assert row["balanced_accuracy"]["values"] == pytest.approx(balanced(tmp_path / "f", 20))
    assert results["chance"]["balanced_accuracy"] == results["majority"]["balanced_accuracy"] == 0.5
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Shortened, measured on fewer")]
    assert len(lines) == 2 and lines[0] in evaluation_tables(results) and lines[0].endswith("of its 12.")


def balanced(run, shots):
    """Mean recall of each draw, from predictions.csv."""
    table = pd.read_csv(run / "predictions.csv").query(f"shots == {shots}")
    hits = (table.truth == table.predicted).groupby([table.draw, table.truth]).mean()
    return hits.groupby("draw").mean().tolist()


def test_sensors_of_the_same_seconds_need_a_split_by_group(tmp_path):
    store = write_parts(tmp_path / "toy")
    table = pd.read_csv(store.root / "recordings.csv", dtype={"notes": str}, keep_default_na=False)
    table["notes"] = [json.dumps({"sensor": ("phone", "watch")[row % 2]}) for row in range(len(table))]
    table.to_csv(store.root / "recordings.csv", index=False)
    with pytest.raises(ValueError, match="phone, watch .*--split group"):
        build_task(config(tmp_path / "toy"))
