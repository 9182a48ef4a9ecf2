"""The zero-shot protocol as a whole: known predictions, no leak, prototypes of another dataset, refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import zeroshot
from configs.constants import WINDOW_FRAMES
from configs.evaluation import ZeroshotConfig
from configs.load import parse
from configs.training import TrainConfig
from datasets.frames import FrameStream, draw_frames, frame_writer
from datasets.protocols.classes import CLASS_SETS
from datasets.store import frames_path, open_store
from datasets.windows import list_windows
from models import build_model
from tests.prepared import write_dataset
from tests.pretrained import CONFIG, write_checkpoint

CLASSES = ["fall", "standing", "walking"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A dataset with video, one without whose classes are called otherwise, a class map and a checkpoint."""
    root = tmp_path_factory.mktemp("zeroshot")
    store = write_dataset(root / "data" / "toy", CLASSES * 6, seconds=15)
    no_video = {"video": False, "simulated": False, "seed": 1}
    write_dataset(root / "data" / "patients", ["walking", "sitting"] * 4, seconds=15, **no_video)
    for number, name in enumerate(store.recordings["id"]):  # videos that differ
        rng = np.random.default_rng(number)
        with frame_writer(frames_path(store.root, name)) as writer:
            for _ in range(150):
                blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                writer.write(blocks.repeat(8, axis=0).repeat(8, axis=1))
    (root / "map.yaml").write_text("walking: walking\nsitting: [standing, fall]\n")
    write_checkpoint(root / "last.pt", store)
    return root


def command(world, tmp_path, *words):
    flags = f"--checkpoint {world}/last.pt --data_root {world}/data --runs_root {tmp_path} --run_name run"
    return [*flags.split(), *" ".join(map(str, ("--dataset toy", "--prototypes_per_class 4", *words))).split()]


def run(world, tmp_path, *words):
    folder = zeroshot.main(command(world, tmp_path, *words))
    return folder, json.loads((folder / "results.json").read_text())


class Seen:
    """Stands in for the encoders; keeps the windows it was given and embeds them by a function of their labels."""

    def __init__(self, monkeypatch, vector):
        monkeypatch.setattr(zeroshot, "embed_imu", lambda model, windows, *_: self.embed("imu", windows))
        monkeypatch.setattr(zeroshot, "embed_video", lambda model, windows, *_: self.embed("video", windows))
        self.vector = vector

    def embed(self, side, windows):
        setattr(self, side, windows)
        return torch.stack([self.vector(side, windows.classes[k]) for k in windows.label])


def test_encoders_that_know_get_everything_right(world, tmp_path, monkeypatch):
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    folder, results = run(world, tmp_path)
    assert {p.name for p in folder.iterdir()} == {
        *("results.json", "prototypes.json", "predictions.csv", "config.yaml", "environment.json", "confusion.png")
    }
    assert {name: value["mean"] for name, value in results["metrics"].items()} == {
        **{"balanced_accuracy": 1.0, "macro_f1": 1.0, "mrr": 1.0, "r@1": 1.0, "r@3": 1.0}
    }
    assert not set(seen.imu.recording) & set(seen.video.recording)
    assert len(seen.video) == 12 and len(seen.imu) == sum(results["queries_per_class"])
    assert len(seen.imu) + results["queries_left_out"] == 18 * 3
    on_file = json.loads((folder / "prototypes.json").read_text())
    assert {i for ids in on_file.values() for i in ids} == set(seen.video.ids())
    assert all(len(ids) == 4 for ids in on_file.values())
    assert results["confusion"] == np.diag(results["queries_per_class"]).tolist()


def test_encoders_that_know_nothing_sit_at_chance(world, tmp_path, monkeypatch, capsys):
    Seen(monkeypatch, lambda side, name: torch.ones(4) / 2)
    _, results = run(world, tmp_path, "--report")
    for name in ("balanced_accuracy", "mrr", "r@1", "r@3"):
        assert results["metrics"][name]["mean"] == pytest.approx(results["chance"][name]), name
    assert results["chance"]["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    printed = capsys.readouterr().out
    assert "toy (simulated)" in printed and "| chance" in printed and "R@3" in printed


def test_prototypes_of_another_dataset_through_a_class_map(world, tmp_path, monkeypatch):
    where = {("imu", "walking"): 0, ("video", "walking"): 0, ("imu", "sitting"): 1}
    where |= {("video", "standing"): 2, ("video", "fall"): 1}  # one of sitting's two classes is near it
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[where[side, name]])
    flags = f"--dataset patients --prototypes_from toy --class_map {world}/map.yaml --prototypes_per_class 8"
    _, results = run(world, tmp_path, flags)
    assert results["metrics"]["balanced_accuracy"]["mean"] == 1.0
    assert results["classes"] == ["sitting", "walking"] and results["queries_left_out"] == 0
    assert results["class_map"] == {"walking": ["walking"], "sitting": ["standing", "fall"]}
    assert results["simulated"] is True  # the prototypes are
    names = [seen.video.classes[k] for k in seen.video.label]
    assert len(names) == 16 and names.count("walking") == 8


def test_video_queries_and_imu_prototypes(world, tmp_path, monkeypatch, capsys):
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    folder, results = run(world, tmp_path, "--direction video_to_imu --report")
    assert results["direction"] == "video_to_imu" and results["metrics"]["r@1"]["mean"] == 1.0
    on_file = json.loads((folder / "prototypes.json").read_text())
    assert {i for ids in on_file.values() for i in ids} == set(seen.imu.ids()) and len(seen.imu) == 12
    assert len(seen.video) == sum(results["queries_per_class"])
    assert not set(seen.imu.recording) & set(seen.video.recording)
    printed = capsys.readouterr().out
    assert "video queries" in printed and "12 IMU prototypes" in printed and ", video to IMU\n" in printed
    predictions = pd.read_csv(folder / "predictions.csv")
    assert predictions.window.tolist() == seen.video.ids() and (predictions.truth == predictions.predicted).all()


def test_the_interval_is_over_the_people_who_asked(world, tmp_path, monkeypatch):
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    few = run(world, tmp_path, "--prototypes_per_class 2")[1]["interval"]["balanced_accuracy"]
    assert few["low"] is None and few["groups"] == len(set(seen.imu.subject)) == 3
    assert "3 groups, fewer than 5" in few["note"]


def test_what_pretraining_has_seen_is_said(world, tmp_path, monkeypatch, capsys):
    Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    _, results = run(world, tmp_path, "--report")
    assert results["seen_in_pretraining"]["seen"]
    assert results["seen_in_pretraining"]["windows"] == sum(results["queries_per_class"])
    assert "WARNING: the encoder was pretrained on this dataset (toy)" in (printed := capsys.readouterr().out)
    assert "Seen before" in printed


@pytest.mark.parametrize("flags, said", [("", True), ("--classes mmea5", False)])
def test_all_of_mmea_is_not_the_paper_column(world, tmp_path, monkeypatch, capsys, flags, said):
    write_dataset(tmp_path / "data" / "toy", [*CLASS_SETS["mmea"]] * 2, seconds=5, frame_size=16)
    Seen(monkeypatch, lambda side, name: torch.eye(32)[CLASS_SETS["mmea"].index(name)])
    _, results = run(world, tmp_path, f"--data_root {tmp_path}/data --prototypes_per_class 1 {flags} --report")
    assert ("--classes mmea5" in results["paper_column"]) is said
    assert capsys.readouterr().out.count("--classes mmea5") == 2 * said


@pytest.mark.parametrize("direction", ["imu_to_video", "video_to_imu"])
def test_real_encoders_rank_as_one_window_at_a_time_does(world, tmp_path, direction):
    """The whole path against single cosines: middle frames, normalisation, ranking, metrics."""
    folder, results = run(world, tmp_path, f"--bootstrap_share 1 --bootstraps 1 --batch_size 5 --direction {direction}")
    model = write_checkpoint(tmp_path / "again.pt", open_store(world / "data", "toy"))
    windows = list_windows(open_store(world / "data", "toy"), needs_video=True, labelled=True)
    position = {name: i for i, name in enumerate(windows.ids())}
    prototypes = json.loads((folder / "prototypes.json").read_text())
    used = {name.split("@")[0] for ids in prototypes.values() for name in ids}

    def video(name):
        clip = np.empty((1, CONFIG.clip_len, 32, 32, 3), dtype=np.uint8)
        windows.read_frames(position[name], draw_frames(WINDOW_FRAMES, CONFIG.clip_len, None), clip[0])
        return model.embed_video(torch.from_numpy(clip))[0]

    def imu(name):
        return model.embed_imu(torch.from_numpy(windows.imu(np.array([position[name]]), CONFIG.normalize)))[0]

    query, prototype = (imu, video) if direction == "imu_to_video" else (video, imu)
    with torch.no_grad():
        z_prototypes = {c: [prototype(name) for name in ids] for c, ids in prototypes.items()}
        hits, ranks = [], []
        for name, i in position.items():
            if name.split("@")[0] in used:
                continue
            z = query(name)
            best = [max(float(z @ v) for v in z_prototypes[c]) for c in windows.classes]
            label = int(windows.label[i])
            ranks.append(1 + sum(b > best[label] for b in best))
            hits.append((label, int(np.argmax(best)) == label))
    assert len(ranks) == sum(results["queries_per_class"])
    recall = [np.mean([hit for label, hit in hits if label == k]) for k in range(3)]
    assert results["metrics"]["balanced_accuracy"]["mean"] == pytest.approx(np.mean(recall))
    assert results["metrics"]["mrr"]["mean"] == pytest.approx(np.mean(1 / np.array(ranks)))


def test_clip_embeds_the_middle_frame_and_reads_no_other(world, tmp_path, monkeypatch):
    read, original = [], FrameStream.read_into
    monkeypatch.setattr(FrameStream, "read_into", lambda *a: (read.append(len(a[1])), original(*a)))
    training = TrainConfig(**CONFIG.model_dump() | {"video_encoder": "clip"})
    model = build_model(training).eval()
    windows = list_windows(open_store(world / "data", "toy"), needs_video=True, labelled=True).subset(np.arange(6))
    config = parse(ZeroshotConfig, command(world, tmp_path))
    found = zeroshot.embed_video(model, windows, training, config, torch.device("cpu"))
    assert read == [1] * 6
    clips = np.empty((6, training.clip_len, 32, 32, 3), dtype=np.uint8)
    for i in range(6):
        windows.read_frames(i, draw_frames(WINDOW_FRAMES, training.clip_len, None), clips[i])
    with torch.inference_mode():
        assert torch.equal(found, model.embed_video(torch.from_numpy(clips)))


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--prototypes_per_class 10", "fall has 9 windows in 3 of its 6 recordings"),
        ("--dataset patients", "has no usable 5 s window with video"),
        ("--dataset patients --prototypes_from toy", "no class 'sitting' .*for sitting"),
        ("--prototypes_from patients", "no class 'fall'"),
        ("--classes walking", "at least two"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_run_is_opened(world, tmp_path, flags, message):
    with pytest.raises((ValueError, OSError), match=message):
        zeroshot.main(command(world, tmp_path, flags))
    assert not (tmp_path / "run").exists()


def test_a_segmented_recording_leaves_no_query_behind_unseen(world, tmp_path, monkeypatch):
    """Classes that share recordings: excluded recordings are excluded for both, and an empty class is named."""
    from datasets.recording import Segment

    spans = (Segment(0, 5, "walking"), Segment(5, 10, "fall"))
    write_dataset(tmp_path / "data" / "toy", ["a"] * 2, seconds=15, segments=spans)
    with pytest.raises(ValueError, match="no query is left of"):
        for seed in range(20):  # unless both classes draw the same recording, none is left
            zeroshot.main(
                command(world, tmp_path, f"--data_root {tmp_path}/data --prototypes_per_class 1 --seed {seed}")
            )


def test_a_copy_under_another_name_leaks_no_recording(world, tmp_path, monkeypatch):
    data = tmp_path / "data"
    for name in ("toy", "again"):
        shutil.copytree(world / "data" / "toy", data / name)
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    words = f"--data_root {data} --prototypes_from again"
    run(world, tmp_path, words)
    assert len(seen.imu) and not set(seen.imu.recording) & set(seen.video.recording)


@pytest.mark.parametrize("direction", ["imu_to_video", "video_to_imu"])
def test_a_clip_under_two_names_is_never_prototype_and_query(tmp_path, world, monkeypatch, capsys, direction):
    """Half of the recordings once more, under names and from files that say nothing of it."""
    data = tmp_path / "data"
    shutil.copytree(world / "data" / "toy", data / "toy")
    write_dataset(data / "more", CLASSES * 6, seconds=15, seed=0)  # of the same noise: the same signals
    table = pd.read_csv(data / "more" / "recordings.csv", dtype=str, keep_default_na=False)
    table["source"] = "again_" + table["source"]
    table["source_hash"] = "elsewhere"
    table.to_csv(data / "more" / "recordings.csv", index=False)
    seen = Seen(monkeypatch, lambda side, name: torch.eye(3)[CLASSES.index(name)])
    _, results = run(world, tmp_path, f"--data_root {data} --prototypes_from more --direction {direction}")
    prototypes, queries = (seen.video, seen.imu) if direction == "imu_to_video" else (seen.imu, seen.video)
    clips = [{signal.tobytes() for signal in side.imu(np.arange(len(side)), "none")} for side in (prototypes, queries)]
    assert len(queries) and not clips[0] & clips[1]
    numbers = [set(side.store.recordings["id"].to_numpy()[side.recording]) for side in (prototypes, queries)]
    assert not numbers[0] & numbers[1]  # nor a neighbour of one
    left_out = results["copies_left_out"]
    assert {name.split("@")[0] for name in left_out} == numbers[0] and len(left_out) == results["queries_left_out"]
    assert f"{len(left_out)} windows are no queries: copies, under another name" in capsys.readouterr().out
    _, results = run(world, tmp_path, "--run_name plain")
    assert results["copies_left_out"] == [] and results["queries_left_out"]
    assert "copies" not in capsys.readouterr().out
