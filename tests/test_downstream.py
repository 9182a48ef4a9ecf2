"""The few-shot protocol as a whole: what it writes, what it refuses, and that a result known beforehand comes out."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

import downstream
from configs.evaluation import DownstreamConfig
from configs.load import build
from datasets.protocols.classes import CLASS_SETS
from datasets.store import open_store
from datasets.windows import list_windows
from models import load_classifier, load_imu_encoder
from models.conv import ConvImuEncoder
from tests.prepared import write_dataset
from tests.pretrained import CONFIG, write_checkpoint
from utils import checkpoint
from utils.calibration import expected_calibration_error
from utils.long_table import long_table, method

CLASSES = ["fall", "standing", "walking"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """24 recordings of 3 classes and 5 people, 4 windows each, and a checkpoint."""
    root = tmp_path_factory.mktemp("downstream")
    store = write_dataset(root / "data" / "toy", CLASSES * 8, seconds=20, video=False, subjects=5)
    write_checkpoint(root / "last.pt", store)
    return root


def command(world, tmp_path, *words):
    """Flags that every call needs, and then some; settings that learn quickly."""
    flags = f"--dataset toy --data_root {world}/data --runs_root {tmp_path} --run_name run --val_samples 8 --lr 0.05"
    return [*flags.split(), *" ".join(map(str, words)).split()]


def run(world, tmp_path, *words):
    folder = downstream.main(command(world, tmp_path, *words))
    return folder, json.loads((folder / "results.json").read_text())


class Spectrum(nn.Module):
    """An encoder that knows: the toy classes are sines of different frequency."""

    dim = 20

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, imu):
        return torch.fft.rfft(imu[:, 2]).abs()[:, 1:21] / 50 * self.weight


@pytest.fixture
def knowing(monkeypatch):
    monkeypatch.setattr(downstream, "load_imu_encoder", lambda path, pooling, window_s: (Spectrum(), CONFIG))


def test_results_hold_all_that_is_needed(world, tmp_path, capsys):
    flags = f"--checkpoint {world}/last.pt --shots 2 5 --draws 4 --seed 3 --report"
    folder, results = run(world, tmp_path, flags)
    assert {p.name for p in folder.iterdir()} == {
        *(
            "results.json",
            "draws.json",
            "predictions.csv",
            "config.yaml",
            "environment.json",
            "confusion.png",
            "shots.png",
            "reliability.png",
            "coverage.png",
        )
    }
    assert results["simulated"] is True and results["dataset"]["name"] == "toy"
    assert results["checkpoint"]["file"] == "last.pt" and results["checkpoint"]["epoch"] == 1
    assert results["checkpoint"]["sha256"] == (world / "last.pt.sha256").read_text().split()[0]
    assert results["classes"] == CLASSES and results["windows_per_class"] == [32, 32, 32]
    assert results["chance"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert results["majority"]["macro_f1"] == pytest.approx(1 / 6)  # precision 1/3 and recall 1 of one class in three
    assert results["config"]["seed"] == results["seed"] == 3
    for n in ("2", "5"):
        row = results["shots"][n]
        confusion = np.array(row["confusion"])
        assert confusion.sum(axis=1).tolist() == [4 * 8] * 3
        assert row["recall"] == pytest.approx((np.diag(confusion) / 32).tolist())
        assert len(row["balanced_accuracy"]["values"]) == 4
        assert row["balanced_accuracy"]["mean"] == pytest.approx(np.mean(row["recall"]))  # equally many in every draw
    predictions = pd.read_csv(folder / "predictions.csv")
    assert len(predictions) == 2 * 4 * 3 * 8
    held_out = json.loads((folder / "draws.json").read_text())["draws"][2]["held_out"]
    third = predictions[(predictions.shots == 5) & (predictions.draw == 2)]
    assert {c: third[third.truth == c].window.tolist() for c in CLASSES} == held_out
    recalls = [(third[third.truth == c].predicted == c).mean() for c in CLASSES]
    assert results["shots"]["5"]["balanced_accuracy"]["values"][2] == pytest.approx(np.mean(recalls))
    people = open_store(world / "data", "toy").recordings.set_index("id").subject
    assert (people[third.window.str.split("@").str[0]].to_numpy() == third.subject.to_numpy()).all()
    printed = capsys.readouterr().out
    assert "toy (simulated)" in printed and "chance" in printed and "5 shots" in printed
    assert str(world) not in (folder / "draws.json").read_text()


def test_draws_on_file_are_nested_and_disjoint(world, tmp_path):
    folder, _ = run(world, tmp_path, f"--checkpoint {world}/last.pt --shots 2 5 --split group --draws 3 --epochs 1")
    content = json.loads((folder / "draws.json").read_text())
    store = open_store(world / "data", "toy")
    table = store.recordings.set_index("id")
    assert len(content["draws"]) == 3
    for draw in content["draws"]:
        people = {}
        for side, size in (("shots", 5), ("held_out", 8)):
            assert list(draw[side]) == CLASSES
            recordings = {c: [window.split("@")[0] for window in ids] for c, ids in draw[side].items()}
            assert all(len(ids) == size for ids in recordings.values())
            assert all(table.loc[r, "label"] == c for c, ids in recordings.items() for r in ids)
            people[side] = {table.loc[r, "subject"] for ids in recordings.values() for r in ids}
        assert not people["shots"] & people["held_out"]
        assert {f"subject {p}" for p in people["held_out"]} <= set(draw["held_out_groups"])


def test_the_pooling_can_be_chosen_again_and_is_reported(world, tmp_path, monkeypatch, capsys):
    seen, original = {}, downstream.train_linear_heads
    encoder, _ = load_imu_encoder(world / "last.pt")
    windows = list_windows(open_store(world / "data", "toy"), labelled=True)

    def note(embeddings, *args, **kwargs):
        seen[pooling] = embeddings
        return original(embeddings, *args, **kwargs)

    monkeypatch.setattr(downstream, "train_linear_heads", note)
    for pooling in ("cls", "mean", "both"):
        flags = f"--checkpoint {world}/last.pt --shots 5 --epochs 1 --run_name {pooling}"
        folder, results = run(world, tmp_path, flags + ("" if pooling == "cls" else f" --imu_pooling {pooling}"))
        assert results["imu_pooling"] == pooling
        assert f"a window is represented by: {pooling}" in capsys.readouterr().out
    draws = json.loads((folder / "draws.json").read_text())["draws"]
    names = {name for draw in draws for side in ("shots", "held_out") for ids in draw[side].values() for name in ids}
    imu = torch.from_numpy(windows.imu(np.flatnonzero(np.isin(windows.ids(), list(names))), CONFIG.normalize))
    with torch.no_grad():
        tokens = encoder.tokens(encoder.patches(imu))
    cls, mean = tokens[:, :, 0].flatten(1), tokens[:, :, 1:].mean(2).flatten(1)
    torch.testing.assert_close(seen["cls"], cls)
    torch.testing.assert_close(seen["mean"], mean)
    assert seen["both"].shape[1] == 2 * cls.shape[1]
    _, results = run(world, tmp_path, "--mode supervised --model imu2clip --shots 2 --epochs 1 --run_name conv")
    assert results["imu_pooling"] is None  # its encoder has no tokens
    with pytest.raises(ValueError, match="imu_pooling mean is for patchtst"):
        run(world, tmp_path, "--mode supervised --model imu2clip --shots 2 --imu_pooling mean")


def test_an_encoder_that_knows_gets_everything_right(world, tmp_path, knowing):
    _, results = run(world, tmp_path, f"--checkpoint {world}/last.pt --shots 5 --split group")
    assert results["shots"]["5"]["balanced_accuracy"]["mean"] == 1.0
    assert results["groups"] == "subject"


def test_shuffled_labels_give_chance(world, tmp_path, knowing, monkeypatch):
    """Nothing may tell the labels but the signal: the same knowing encoder with labels dealt out at random."""

    def shuffled(*args, **kwargs):
        windows = list_windows(*args, **kwargs)
        return replace(windows, label=np.random.default_rng(0).permutation(windows.label))

    monkeypatch.setattr("datasets.protocols.labelled.list_windows", shuffled)
    _, results = run(world, tmp_path, f"--checkpoint {world}/last.pt --shots 10 --draws 20")
    values = results["shots"]["10"]["balanced_accuracy"]["values"]
    # 20 draws of 24 windows, overlapping: twice the standard error of 480 independent guesses is 0.043
    assert abs(np.mean(values) - 1 / 3) < 0.1
    interval = results["shots"]["10"]["interval"]["balanced_accuracy"]
    assert interval["groups"] == 5 and interval["low"] < 1 / 3 < interval["high"]
    assert interval["high"] - interval["low"] < 0.4


def test_same_seed_same_result_whatever_the_other_cells(world, tmp_path):
    one = run(world, tmp_path / "a", f"--checkpoint {world}/last.pt --shots 2 5 --draws 3 --epochs 3")[1]
    two = run(world, tmp_path / "b", f"--checkpoint {world}/last.pt --shots 5 --draws 2 --epochs 3")[1]
    assert one["shots"]["5"]["macro_f1"]["values"][:2] == two["shots"]["5"]["macro_f1"]["values"]
    other = run(world, tmp_path / "c", f"--checkpoint {world}/last.pt --shots 5 --draws 2 --epochs 3 --seed 1")[1]
    assert other["draws"]["sha256"] != two["draws"]["sha256"]


def test_saved_probe_is_the_measured_one(world, tmp_path):
    saved = tmp_path / "model"
    flags = f"--checkpoint {world}/last.pt --shots 2 6 --draws 2 --fit draw --save_model {saved}"
    folder, results = run(world, tmp_path, flags)
    classifier = load_classifier(saved)
    original = checkpoint.load(world / "last.pt")["model"]
    assert all(torch.equal(v, original[f"imu_encoder.{k}"]) for k, v in classifier.encoder.state_dict().items())
    windows = list_windows(open_store(world / "data", "toy"), labelled=True)
    held_out = json.loads((folder / "draws.json").read_text())["draws"][0]["held_out"]
    position = {name: i for i, name in enumerate(windows.ids())}
    recalls = []
    for k, name in enumerate(classifier.facts.classes):  # raw windows: the z-score is part of the classifier
        imu = windows.imu(np.array([position[i] for i in held_out[name]]), "none")
        recalls.append((classifier.probabilities(imu).argmax(1) == k).mean())
    assert results["shots"]["6"]["balanced_accuracy"]["values"][0] == pytest.approx(np.mean(recalls))
    facts = classifier.facts
    assert facts.trained_on["windows_per_class"] == [6, 6, 6] and facts.calibration["windows"] == 24
    first = pd.read_csv(folder / "predictions.csv").query("shots == 6 and draw == 0")
    assert facts.calibration["people"] == first["subject"].nunique()
    card = (saved / "README.md").read_text()
    assert facts.threshold > 0 and f"probability is below {facts.threshold:.3f}" in card
    assert str(tmp_path) not in (saved / "config.json").read_text() + card


@pytest.mark.parametrize("mode", ["lp", "finetune", "supervised"])
def test_the_final_fit_learns_from_everybody(world, tmp_path, mode):
    kinds = ["fall"] * 2 + ["standing"] * 6 + ["walking"] * 4
    write_dataset(tmp_path / "data" / "toy", kinds, seconds=20, video=False, subjects=4)
    flags = f"--data_root {tmp_path}/data --checkpoint {world}/last.pt --shots 2 --val_samples 2 --draws 2 --epochs 2"
    name = "train_linear_heads" if mode == "lp" else "finetune"
    seen, original = [], getattr(downstream, name)

    def note(*args, **settings):
        seen.append((len(args[1]) if mode == "lp" else len(args[2]), settings["class_weight"]))
        return original(*args, **settings)

    def only_last(*args, **settings):
        return (note if "class_weight" in settings else original)(*args, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downstream, name, only_last)
        _, results = run(world, tmp_path, flags, f"--mode {mode} --save_model {tmp_path}/model --num_workers 1")
    classifier = load_classifier(tmp_path / "model")
    facts = classifier.facts
    assert facts.trained_on["windows_per_class"] == [8, 24, 16] and facts.trained_on["people"] == 4
    ((learnt, weight),) = seen
    assert learnt == 48 and weight.tolist() == pytest.approx([48 / 3 / n for n in (8, 24, 16)])
    assert facts.prior == pytest.approx([1 / 3] * 3)
    assert facts.calibration["windows"] == 2 * 2 * 3
    assert results["shots"]["2"]["calibration"]["ece"]["mean"] >= 0
    card = (tmp_path / "model" / "README.md").read_text()
    if mode == "supervised":
        assert facts.novelty is None and "cannot tell whether a recording is unlike" in card
        return
    assert (facts.novelty.windows, facts.novelty.people, facts.novelty.own_encoder) == (48, 4, mode == "lp")
    assert f"{facts.novelty.threshold:.1f} are unlike" in card
    before = checkpoint.load(world / "last.pt")["model"]
    reads = classifier.encoder if mode == "lp" else classifier.pretrained
    assert all(torch.equal(v, before[f"imu_encoder.{k}"]) for k, v in reads.state_dict().items())


def test_a_conv_encoder_from_scratch_needs_no_checkpoint(world, tmp_path, monkeypatch):
    flags = (
        f"--mode supervised --imu_encoder conv --window_s 2 --shots 2 --draws 2 --epochs 1 --save_model {tmp_path}/m"
    )
    _, results = run(world, tmp_path, flags)
    assert "conv" in method(results) and "imu_video_cross" not in method(results)
    classifier = load_classifier(tmp_path / "m")
    assert isinstance(classifier.encoder, ConvImuEncoder) and classifier.facts.window_s == 2
    assert classifier.probabilities(torch.randn(3, 6, 100)).shape == (3, 3)
    card = (tmp_path / "m" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "unknown" and "simulated" in front["tags"]
    assert "Not a medical device" in card and "conv" in card
    monkeypatch.chdir(tmp_path)
    said = {"windows": np.ones((2, 6, 100))}
    exec(card.split("```python\n")[1].split("```")[0], said)
    assert said["probabilities"].shape == (2, 3)
    with pytest.raises(ValueError, match="imu_encoder is for an encoder from scratch"):
        build(DownstreamConfig, {"dataset": "x", "checkpoint": "x.pt", "imu_encoder": "conv"}, "flags")


def test_probabilities_are_calibrated_and_written(world, tmp_path):
    folder, results = run(world, tmp_path, f"--checkpoint {world}/last.pt --shots 2 5 --draws 3 --split group")
    table = pd.read_csv(folder / "predictions.csv")
    columns = [f"probability/{name}" for name in CLASSES]
    assert table[columns].sum(axis=1).to_numpy() == pytest.approx(1, abs=2e-3)
    assert (table[columns].to_numpy().argmax(1) == table["predicted"].map(CLASSES.index)).mean() > 0.99  # ties, rounded
    measured = results["shots"]["5"]["calibration"]
    own = table[(table.shots == 5) & (table.draw == 1)]
    confidence, right = own[columns].max(axis=1), own.truth == own.predicted
    ece = expected_calibration_error(confidence.to_numpy(), right.to_numpy())
    assert measured["ece"]["values"][1] == pytest.approx(ece, abs=0.02)  # probabilities are rounded
    values = long_table({"a": results})
    assert values.query("metric == 'ece' and draw.isna() and shots == 5").value.item() == measured["ece"]["mean"]
    assert len(values.query("metric == 'nll' and draw == 2")) == 2


def test_finetuning_changes_the_encoder(world, tmp_path):
    file = tmp_path / "model"
    flags = f"--checkpoint {world}/last.pt --shots 2 --draws 2 --epochs 2 --mode finetune --save_model {file}"
    _, results = run(world, tmp_path, flags)
    assert results["mode"] == "finetune" and len(results["shots"]["2"]["macro_f1"]["values"]) == 2
    original = checkpoint.load(world / "last.pt")["model"]
    tuned = load_classifier(file).encoder.state_dict()
    learnt = [k for k in tuned if tuned[k].is_floating_point() and not k.endswith(("running_mean", "running_var"))]
    assert any(not torch.equal(tuned[k], original[f"imu_encoder.{k}"]) for k in learnt)


@pytest.mark.parametrize("mode", ["lp", "finetune"])
def test_the_schedule_reaches_the_training(world, tmp_path, mode):
    heads = {}
    for schedule in ("constant", "cosine"):
        file = tmp_path / f"{schedule}_model"
        flags = f"--checkpoint {world}/last.pt --shots 2 --draws 1 --epochs 2 --mode {mode} --save_model {file}"
        _, results = run(world, tmp_path / schedule, flags, f"--lr_schedule {schedule} --fit draw")
        assert results["config"]["lr_schedule"] == schedule
        heads[schedule] = load_classifier(file).head.weight
    # two epochs of one step at rates 0.05 and, with the cosine, 0.025: Adam's steps are about the rate
    assert 0.005 < (heads["constant"] - heads["cosine"]).abs().max() < 0.05


def test_random_weights_are_a_control(world, tmp_path):
    flags = f"--checkpoint {world}/last.pt --shots 5 --draws 2 --epochs 3 --save_model {tmp_path}/model"
    trained = run(world, tmp_path / "a", flags)[1]
    control = run(world, tmp_path / "b", flags, "--random_weights")[1]
    assert (trained["encoder"], control["encoder"]) == ("pretrained", "random")
    assert trained["draws"] == control["draws"]  # compared on the same windows
    original = checkpoint.load(world / "last.pt")["model"]
    weights = load_classifier(tmp_path / "model").encoder.state_dict()
    matrices = [k for k, v in weights.items() if v.ndim > 1]
    assert matrices and all(not torch.equal(weights[k], original[f"imu_encoder.{k}"]) for k in matrices)
    alone = run(world, tmp_path / "c", "--random_weights --model imu_video_cross --shots 2 --draws 1 --epochs 1")[1]
    assert alone["checkpoint"] is None and alone["model"] == "imu_video_cross"


def test_from_scratch_needs_no_checkpoint_for_the_same_draws(world, tmp_path):
    flags = "--mode supervised --shots 2 5 --draws 2 --epochs 1 --num_workers 1"
    _, alone = run(world, tmp_path / "a", flags)
    assert (alone["mode"], alone["encoder"], alone["checkpoint"]) == ("supervised", "random", None)
    assert alone["model"] == "imu_video_cross" and alone["config"]["encoder_lr"] == 1e-4
    flags += f" --checkpoint {world}/last.pt --save_model {tmp_path}/model"
    _, like = run(world, tmp_path / "b", flags)
    assert like["encoder"] == "random" and like["draws"] == alone["draws"]
    # the architecture of the checkpoint, and none of its weights
    original = checkpoint.load(world / "last.pt")["model"]
    weights = load_classifier(tmp_path / "model").encoder.state_dict()
    matrices = [k for k, v in weights.items() if v.ndim > 1]
    assert matrices and all(weights[k].shape == original[f"imu_encoder.{k}"].shape for k in weights)
    assert all((weights[k] - original[f"imu_encoder.{k}"]).abs().max() > 0.01 for k in matrices)


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--shots 30", "fall: 32 windows, 38 are needed; standing: 32 .*fewer --shots"),
        ("--classes walking waking", "no 'waking'; did you mean walking"),
        ("--classes mmea5", "no 'sit_stand'"),
        ("--model imu2clip", "was trained as imu_video_cross, not imu2clip"),
        ("--dataset toi", "no dataset 'toi' under .*there is toy"),
        ("--checkpoint nowhere.pt", "nowhere.pt: no such checkpoint"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_run_is_opened(world, tmp_path, flags, message):
    with pytest.raises((ValueError, OSError), match=message):
        downstream.main(command(world, tmp_path, f"--checkpoint {world}/last.pt --shots 5", flags))
    assert not (tmp_path / "run").exists()


def test_group_split_without_people_is_by_session(world, tmp_path):
    write_dataset(tmp_path / "data" / "toy", CLASSES * 8, seconds=20, video=False, subjects=0)
    flags = f"--data_root {tmp_path}/data --checkpoint {world}/last.pt --shots 2 --split group --epochs 1"
    assert run(world, tmp_path, flags)[1]["groups"] == "session"


def test_overlapping_windows_of_short_events(world, tmp_path):
    flags = f"--checkpoint {world}/last.pt --shots 2 --draws 2 --stride_s 1 --split group"
    folder, results = run(world, tmp_path, flags)
    plain = list_windows(open_store(world / "data", "toy"), labelled=True)
    assert sum(results["windows_per_class"]) == 4 * len(plain)  # 16 starts instead of 4 in 20 s
    subjects = pd.read_csv(folder / "predictions.csv").groupby("draw")["subject"].unique()
    drawn = json.loads((folder / "draws.json").read_text())["draws"]
    for draw, held_out in subjects.items():
        learnt = {window.split("@")[0] for windows in drawn[draw]["shots"].values() for window in windows}
        people = open_store(world / "data", "toy").recordings.set_index("id").loc[sorted(learnt), "subject"]
        assert not set(people) & set(held_out)
    with pytest.raises(ValueError, match="windows overlap"):
        run(world, tmp_path, f"--checkpoint {world}/last.pt --shots 2 --stride_s 1 --split window")


def test_each_person_in_turn(world, tmp_path, knowing):
    flags = f"--checkpoint {world}/last.pt --shots 3 6 --draws 2 --split leave_one_group_out"
    folder, results = run(world, tmp_path, flags)
    predictions = pd.read_csv(folder / "predictions.csv")
    windows = list_windows(open_store(world / "data", "toy"), labelled=True)
    for _, own in predictions.groupby(["shots", "draw"]):
        assert sorted(own.window) == sorted(windows.ids())  # every window is asked about once in a draw
    assert results["groups"] == "subject, each held out in turn" and results["held_out_per_class"] is None
    assert len(results["shots"]["3"]["balanced_accuracy"]["values"]) == 2
    assert results["shots"]["6"]["balanced_accuracy"]["mean"] == 1.0
    assert results["shots"]["6"]["interval"]["balanced_accuracy"]["groups"] == 5
    assert results["chance"]["balanced_accuracy"] == pytest.approx(1 / 3)


def test_results_tell_which_cells_are_of_the_same_windows(world, tmp_path):
    base = f"--checkpoint {world}/last.pt --draws 2 --epochs 1 --split group"
    digests = {}
    for name, flags in {"few": "--shots 2", "more": "--shots 2 6", "other": "--shots 2 --seed 1"}.items():
        shots = run(world, tmp_path / name, base, flags)[1]["shots"]
        digests[name] = {n: row["windows_sha256"] for n, row in shots.items()}
    assert digests["few"]["2"] == digests["more"]["2"] != digests["more"]["6"]
    assert digests["few"]["2"] != digests["other"]["2"]


def test_small_classes_are_dropped_by_the_setting_and_listed(world, tmp_path, capsys):
    write_dataset(tmp_path / "data" / "toy", ["standing"] * 2 + ["fall", "walking"] * 6, seconds=20, video=False)
    flags = f"--data_root {tmp_path}/data --checkpoint {world}/last.pt --shots 5 --epochs 1"
    with pytest.raises(ValueError, match="standing: 8 windows, 13 are needed.*--small_classes drop"):
        run(world, tmp_path / "a", flags)
    _, results = run(world, tmp_path / "b", flags, "--small_classes drop")
    assert results["classes"] == ["fall", "walking"]
    assert results["dropped_classes"] == {"standing": "8 windows, 13 are needed"}
    assert "class left out: standing (8 windows, 13 are needed)" in capsys.readouterr().out


@pytest.mark.parametrize("flags, said", [("", True), ("--classes mmea", True), ("--classes mmea5", False)])
def test_all_of_mmea_is_not_the_paper_column(world, tmp_path, capsys, flags, said):
    write_dataset(tmp_path / "data" / "toy", [*CLASS_SETS["mmea"]] * 2, seconds=10, video=False)
    where = f"--data_root {tmp_path}/data --checkpoint {world}/last.pt --val_samples 1 --shots 1 --draws 1 --epochs 1"
    _, results = run(world, tmp_path, where, flags, "--report")
    assert len(results["classes"]) == (32 if said else 5)
    assert ("--classes mmea5" in results["paper_column"]) is said
    assert capsys.readouterr().out.count("--classes mmea5") == 2 * said  # before the evaluation, and in its table


def test_results_say_what_pretraining_has_seen_and_no_folder(world, tmp_path, capsys):
    flags = f"--checkpoint {world}/last.pt --shots 2 --draws 1 --epochs 1 --report"
    folder, results = run(world, tmp_path, flags)
    assert results["seen_in_pretraining"]["seen"] and results["seen_in_pretraining"]["windows"] == 96
    printed = capsys.readouterr().out
    assert "WARNING: the encoder was pretrained on this dataset" in printed and "Seen before" in printed
    assert not run(world, tmp_path / "b", flags, "--random_weights")[1]["seen_in_pretraining"]["seen"]
    for file in ("results.json", "draws.json", "predictions.csv"):
        assert str(world) not in (folder / file).read_text() and str(tmp_path) not in (folder / file).read_text()
    assert results["config"]["checkpoint"] == "last.pt"


@pytest.mark.parametrize("mode", ["lp", "finetune"])
def test_windows_to_select_by_are_not_learnt_from_or_reported(world, tmp_path, mode):
    flags = f"--checkpoint {world}/last.pt --shots 2 5 --draws 2 --epochs 3 --mode {mode} --num_workers 1"
    plain = run(world, tmp_path / "a", flags)[1]
    folder, results = run(world, tmp_path / "b", flags, "--select_samples 4")
    assert plain["selected_epochs"] is None
    assert set(results["selected_epochs"]) == {"2", "5"}
    assert all(1 <= epoch <= 3 for epochs in results["selected_epochs"].values() for epoch in epochs)
    for draw in json.loads((folder / "draws.json").read_text())["draws"]:
        sides = [{w for ids in draw[side].values() for w in ids} for side in ("shots", "select", "held_out")]
        assert [len(side) for side in sides] == [15, 12, 24] and len(set.union(*sides)) == 51
    assert {n: row["windows_sha256"] for n, row in plain["shots"].items()} == {
        n: row["windows_sha256"] for n, row in results["shots"].items()
    }
