"""The shipped pretraining files: each trains, and each ablation is one change from the paper's method."""

from pathlib import Path

import pytest

import train
from configs.load import build, read_yaml
from configs.study import load_study
from configs.training import TrainConfig
from datasets.protocols.classes import CLASS_SETS
from models import build_model
from tests.prepared import write_dataset
from tests.training import SIZES, losses

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted((CONFIGS / "pretrain").glob("*.yaml"))
DEMO = CONFIGS / "demo" / "pretrain.yaml"
# One documented command each at demo scale: the demo's file and these words.
DEMO_METHODS = [
    "",
    "--model imu_only --epochs 100 --imu_pooling mean",
    "--model imu2clip --embed_dim 512",
    "--loss softmax",
    "--imu_encoder conv_gru",
    "--video_encoder clip",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Recordings of the classes that presets on MMEA leave out, and of one that they keep."""
    root = tmp_path_factory.mktemp("data")
    classes = ["standing", "walking", "sit_stand", "downstairs", "fall", *["drinking"] * 7]
    write_dataset(root / "tiny", classes, seconds=5, frame_size=16)
    return root


def two_steps(path: Path, data: Path, runs: Path, words: list[str]) -> Path:
    sizes = dict(zip(SIZES[::2], SIZES[1::2], strict=True))
    values = read_yaml(path)
    if values.get("model") == "imu2clip" and "heads" not in values or "imu2clip" in words:
        sizes["--embed_dim"] = "512"  # the encoders end in the shared space themselves
    tiny = ["--dataset", "tiny", "--data_root", str(data), "--runs_root", str(runs), "--run_name", "a"]
    limits = "--batch_size 2 --max_steps 2 --log_interval 1 --device cpu --num_workers 1".split()
    if values.get("loss") == "distill":  # the frozen encoder is that of a checkpoint
        given = [word for pair in sizes.items() for word in pair]
        train.main([*given, *tiny[:-1], "teacher", *limits])
        sizes["--video_weights"] = str(runs / "teacher" / "checkpoints" / "last.pt")
    small = [word for pair in sizes.items() for word in pair]
    assert train.main(["--config", str(path), *words, *small, *tiny, *limits]) == 0
    assert len(losses(runs / "a")) == 2
    return runs / "a"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_two_steps_of_every_file(path, data, tmp_path):
    run = two_steps(path, data, tmp_path, [])
    if path.stem.endswith("mmea"):
        assert "6 windows to train on, 1 held out" in (run / "log.txt").read_text()


@pytest.mark.parametrize("words", DEMO_METHODS)
def test_two_steps_of_every_method_at_demo_scale(words, data, tmp_path):
    two_steps(DEMO, data, tmp_path, words.split())


@pytest.mark.parametrize("words", DEMO_METHODS)
def test_demo_commands_are_valid_as_they_stand(words):
    flags = [word.removeprefix("--") for word in words.split()]
    build_model(build(TrainConfig, read_yaml(DEMO) | dict(zip(flags[::2], flags[1::2], strict=True)), "demo"))
    assert f"{DEMO.name} {words}".strip() in DEMO.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name, origin",
    [
        ("pretrain/ego4d", "MCG-NJU/videomae-base-ssv2, trained on"),
        ("pretrain/imu2clip", "openai/clip-vit-base-patch32, frozen"),
        ("pretrain/imu_only_mmea", None),
        ("demo/pretrain", "small VideoMAE trained along"),
    ],
)
def test_tables_can_say_where_the_video_encoder_came_from(name, origin):
    assert build(TrainConfig, read_yaml(CONFIGS / f"{name}.yaml"), name).video_origin == origin


def test_in_the_demo_a_small_vit_stands_for_clip():
    config = build(TrainConfig, read_yaml(DEMO) | {"model": "imu2clip", "embed_dim": 512}, "demo")
    assert config.video_origin == "small ViT trained along"
    local = config.model_copy(update={"video_weights": "/home/someone/clip"})
    assert "someone" not in local.video_origin


def differences(first: str, second: str) -> dict:
    """What the second file has otherwise than the first."""
    ours, other = (
        build(TrainConfig, read_yaml(CONFIGS / "pretrain" / f"{stem}.yaml"), stem).model_dump()
        for stem in (first, second)
    )
    return {key: other[key] for key in ours if ours[key] != other[key]}


@pytest.mark.parametrize(
    "name, change",
    [
        ("ego4d_softmax", {"loss": "softmax"}),
        ("ego4d_softmax_authors", {"loss": "softmax_soft", "temperature": 2.302585}),
        ("ego4d_conv_gru", {"imu_encoder": "conv_gru"}),
        # another architecture has weights of its own
        ("ego4d_clip", {"video_encoder": "clip", "video_weights": "openai/clip-vit-base-patch32"}),
    ],
)
def test_an_ablation_is_one_change(name, change):
    assert differences("ego4d", name) == change


OWN_METHOD = "recommended_imu"  # no paper's method with other settings
RECOMMENDED = [path for path in FILES if path.stem.startswith("recommended_") and path.stem != OWN_METHOD]


@pytest.mark.parametrize("path", RECOMMENDED, ids=lambda path: path.stem)
def test_recommended_is_another_combination_and_no_more(path):
    name = path.stem.removeprefix("recommended_")
    change = {"normalize": "dataset", "imu_scaling": "none", "imu_dropout": 0.1}
    if "imu_only" in name:
        change["imu_pooling"] = "mean"
    assert differences(name, path.stem) == change
    assert "recommended, not the paper's" in " ".join(path.read_text(encoding="utf-8").replace("#", "").split())
    assert f"configs/pretrain/{path.name}" in path.with_name(f"{name}.yaml").read_text(encoding="utf-8")


def test_both_methods_have_a_recommended_file():
    assert {path.stem for path in RECOMMENDED} == {
        *("recommended_ego4d", "recommended_mmea", "recommended_imu_only_ego4d", "recommended_imu_only_mmea")
    }


def test_presets_study_compares_what_is_shipped(monkeypatch):
    """Its encoders differ by what the presets on Ego4D differ in, and recommended is the demo's."""
    monkeypatch.chdir(CONFIGS.parent)
    study = load_study(CONFIGS / "study" / "presets.yaml").pretraining
    fields = ("normalize", "imu_scaling", "imu_dropout", "imu_pooling")

    def combination(values):
        config = build(TrainConfig, values, "study").model_dump()
        return {name: config[name] for name in fields}

    found = {name: combination(read_yaml(run.config) | run.settings) for name, run in study.items()}
    shipped = {
        f"ours_{name}": combination(read_yaml(CONFIGS / "pretrain" / f"{file}.yaml"))
        for name, file in (("paper", "ego4d"), ("recommended", "recommended_ego4d"))
    }
    assert shipped.items() <= found.items()
    assert found["ours_recommended"] == combination(read_yaml(DEMO))
    assert found["ours_recording_alone"] == found["ours_recommended"] | {"normalize": "recording"}


def test_mmea_pretraining_leaves_out_what_is_evaluated(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    study = load_study(CONFIGS / "study" / "paper.yaml")
    for run in study.pretraining.values():
        config = build(TrainConfig, read_yaml(run.config) | run.settings, "study")
        assert sorted(config.exclude_classes or []) == (sorted(CLASS_SETS["mmea5"]) if run.dataset == "MMEA" else [])
    for name, evaluation in study.evaluations.items():
        classes = read_yaml(evaluation.config)["classes"]
        assert classes == ["mmea5" if evaluation.dataset == "MMEA" else "pd"], name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_header_says_command_and_time(path):
    header = path.read_text(encoding="utf-8")
    assert f"train.py --config configs/pretrain/{path.name}" in header
    assert "Expected time" in header
    assert "the paper got after it" in header or path.stem == "gopro"
