"""Settings: YAML first, flags over it, and every mistake named before anything is loaded."""

import pytest
import yaml

from configs import base, data, evaluation, predict, reporting, training
from configs.base import Config
from configs.evaluation import DownstreamConfig, ZeroshotConfig
from configs.load import ConfigError, build, build_parser, dump, parse, read_yaml
from configs.training import TrainConfig

STAGES = (data, training, evaluation, predict, reporting)
FOUND = {value for stage in STAGES for value in vars(stage).values() if hasattr(value, "program")}
SCHEMAS = sorted(FOUND, key=lambda schema: schema.__name__)


def refused(capsys, schema_class, *argv) -> str:
    with pytest.raises(SystemExit) as stop:
        parse(schema_class, list(argv))
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_flags_override_yaml_and_yaml_overrides_defaults(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("dataset: ego4d\nlr: 1e-3\nepochs: 7\n")  # yaml.safe_load makes a string of 1e-3
    config = parse(TrainConfig, ["--config", str(file), "--epochs", "9"])
    assert (config.dataset, config.lr, config.epochs, config.batch_size) == ("ego4d", 1e-3, 9, 32)


def test_dates_are_not_for_a_pipe(capsys):
    for unit in ("date", "dmy", "mdy"):
        message = refused(capsys, predict.PredictConfig, "--stdin", "--time_unit", unit)
        assert "times as numbers" in message


def test_printed_config_reads_back_the_same(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(TrainConfig, "--dataset nowhere --model imu2clip --loss sigmoid --lr 3e-5 --print_config".split())
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    (tmp_path / "c.yaml").write_text(printed)
    assert dump(parse(TrainConfig, ["--config", str(tmp_path / "c.yaml")])) == printed
    assert yaml.safe_load(printed)["imu_encoder"] == "conv_gru"  # the method's own part is spelt out
    assert yaml.safe_load(printed)["loss"] == "sigmoid"  # and the one that was named stays


def test_commands_of_the_published_readme_parse():
    published = (
        "--model imu_video_cross --dataset ego4d --batch_size 32 --epochs 25 --lr 1e-4 --clip_len 10"
        " --num_workers 16 --save_interval 5"
    )
    train = parse(TrainConfig, published.split())
    assert (train.num_workers, train.save_interval, train.video_encoder) == (16, 5, "videomae")
    probe = (
        "--model imu2clip --checkpoint /path/to/checkpoint.pt --dataset mmea --batch_size 8 --device cuda:0"
        " --train_samples 100 --val_samples 20"
    )
    lp = parse(DownstreamConfig, f"{probe} --mode lp --epochs 25 --report".split())
    assert (lp.shots, lp.report, lp.device) == ([100], True, "cuda:0")
    tuned = parse(DownstreamConfig, f"{probe} --mode finetune --epochs 50 --save_model best_model.pt".split())
    assert str(tuned.save_model) == "best_model.pt"
    several = parse(DownstreamConfig, "--checkpoint c.pt --dataset mmea --shots 10 20 50 100".split())
    assert several.shots == [10, 20, 50, 100]


@pytest.mark.parametrize(
    "argv, words",
    [
        ("--dataset x --epoch 3", ["unknown flag --epoch", "--epochs"]),
        ("--dataset x --modle imu2clip", ["--modle", "did you mean --model"]),
        ("--dataset x --epochs three", ["epochs = 'three'", "integer"]),
        ("--dataset x --epochs 0", ["epochs = '0'", "greater than 0"]),
        ("--dataset x --loss hinge", ["loss = 'hinge'", "'sigmoid', 'softmax'"]),
        ("--dataset ../x", ["dataset = '../x'", "without slashes"]),
        ("--dataset x --clip_len 9", ["clip_len 9 must be even"]),
        ("--dataset x --imu_dim 130", ["imu_dim 130", "imu_heads 4"]),
        ("--dataset x --resume auto", ["resume auto needs run_name"]),
        ("--dataset x --seed 1 stray", ["stray words stray"]),
        ("", ["dataset is missing: give --dataset"]),
        ("--config /nowhere.yaml", ["/nowhere.yaml", "cannot be read"]),
    ],
)
def test_mistakes_are_named(capsys, argv, words):
    message = refused(capsys, TrainConfig, *argv.split())
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text, words",
    [
        ("dataset: x\nepoch: 3\n", ["c.yaml", "unknown setting 'epoch'", "did you mean epochs"]),
        ("dataset: x\nlr: 1\nlr: 2\n", ["c.yaml", "'lr' stands on line 2 and again on line 3"]),
        ("- dataset\n", ["c.yaml", "'key: value'"]),
        ("dataset: [x\n", ["c.yaml", "not valid YAML"]),
        ("dataset: !!python/object/apply:os.system ['true']\n", ["c.yaml", "not valid YAML"]),
    ],
)
def test_mistakes_in_yaml_are_named(tmp_path, capsys, text, words):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    message = refused(capsys, TrainConfig, "--config", str(file))
    for word in words:
        assert word in message


def test_a_flag_of_either_name_overrides_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("dataset: x\ncheckpoint: c.pt\nshots: [10, 20]\n")
    argv = ["--config", str(tmp_path / "c.yaml"), "--train_samples", "100"]
    assert parse(DownstreamConfig, argv).shots == [100]


def test_contradictions_are_refused(capsys):
    assert "checkpoint is missing" in refused(capsys, DownstreamConfig, "--dataset", "x")
    alone = ["--checkpoint", "c.pt", "--dataset", "x", "--class_map", "m.yaml"]
    assert "prototypes_from" in refused(capsys, ZeroshotConfig, *alone)
    leaky = ["--checkpoint", "c.pt", "--dataset", "x", "--stride_s", "1", "--window_s", "5"]
    assert "split window" in refused(capsys, DownstreamConfig, *leaky, "--split", "window")
    assert parse(DownstreamConfig, leaky).split == "recording"


def test_a_config_does_not_change():
    config = build(TrainConfig, {"dataset": "x"}, "test")
    with pytest.raises(ValueError, match="frozen"):
        config.lr = 1.0
    with pytest.raises(ConfigError, match="lr = -1"):
        build(TrainConfig, {"dataset": "x", "lr": -1}, "test")


@pytest.mark.parametrize("schema_class", SCHEMAS, ids=lambda s: s.__name__)
def test_every_setting_has_help_that_argparse_can_print(schema_class):
    assert issubclass(schema_class, Config)
    for name, field in schema_class.model_fields.items():
        assert len(field.description or "") > 10, f"{name} has no help text"
    text = build_parser(schema_class).format_help()
    for name in schema_class.model_fields:
        assert (name.upper() if name in schema_class.positional else f"--{name}") in text


def test_an_empty_file_holds_no_settings(tmp_path):
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "c.yaml") == {}


class Words(Config):
    """A command with words that need no flag."""

    program = "words"
    summary = "A test."
    positional = ("first", "rest")

    first: str = base.setting(help="a single word")
    rest: list[int] = base.setting([7], help="any further words")
    out: str = base.setting("o", help="a flag beside them")
    loud: bool = base.setting(False, help="a switch beside them")


@pytest.mark.parametrize(
    "argv, expected",
    [
        ("a", ("a", [7], "o", False)),
        ("a 1 2", ("a", [1, 2], "o", False)),
        ("--out x a 1 2", ("a", [1, 2], "x", False)),
        ("a 1 2 --out x", ("a", [1, 2], "x", False)),
        ("a 1 --loud 2 --out x 3", ("a", [1, 2, 3], "x", True)),
    ],
)
def test_positional_words_stand_anywhere(argv, expected):
    words = parse(Words, argv.split())
    assert (words.first, words.rest, words.out, words.loud) == expected


def test_help_shows_a_switch_by_its_one_name(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(Words, ["--help"])
    said = capsys.readouterr().out
    assert "--loud " in said and "no-loud" not in said
    (tmp_path / "loud.yaml").write_text("loud: true\n")
    of_file = ["a", "--config", str(tmp_path / "loud.yaml")]
    assert parse(Words, ["a", "--loud"]).loud and parse(Words, of_file).loud
    assert not parse(Words, ["a"]).loud and not parse(Words, [*of_file, "--no-loud"]).loud


def test_positional_words_come_from_yaml_too(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("first: b\nrest: [4, 5]\n")
    assert parse(Words, ["--config", str(file)]).rest == [4, 5]
    words = parse(Words, ["a", "--config", str(file)])
    assert (words.first, words.rest) == ("a", [4, 5])
    assert yaml.safe_load(dump(words)) == {"first": "a", "rest": [4, 5], "out": "o", "loud": False}


@pytest.mark.parametrize(
    "argv, words",
    [
        ("", ["first is missing: give FIRST"]),
        ("a one", ["rest.0 = 'one'", "integer"]),
        ("a --rest 1", ["unknown flag --rest"]),
        ("a --ouut x", ["unknown flag --ouut", "did you mean --out"]),
    ],
)
def test_mistakes_in_positional_words_are_named(capsys, argv, words):
    message = refused(capsys, Words, *argv.split())
    for word in words:
        assert word in message
    assert "did you mean --rest" not in message


@pytest.mark.parametrize("ranks, rows", [(1, 32), (4, 8), (32, 1)])
def test_ranks_share_the_batch(ranks, rows):
    assert TrainConfig(dataset="x").batch_size_per_rank(ranks) == rows


@pytest.mark.parametrize("ranks, fewer", [(3, 2), (5, 4), (64, 32)])
def test_a_batch_that_does_not_divide_is_refused(ranks, fewer):
    with pytest.raises(ValueError, match=f"batch_size 32 .* among {ranks}: start {fewer}, or .* of {ranks}"):
        TrainConfig(dataset="x").batch_size_per_rank(ranks)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"dataset": ["a", "a"]}, "dataset = .*each once"),
        ({"dataset": ["a", "b/c"]}, "dataset = .*must be a plain folder name"),
        ({"dataset": []}, "dataset = .*name one folder or several"),
        ({"dataset": ["a", "b"], "dataset_weights": [1]}, "dataset_weights 1: .* there are 2"),
        ({"dataset": "a", "dataset_weights": [1, 2]}, "dataset_weights 1 2: .* there are 1"),
        ({"dataset": ["a", "b"], "dataset_weights": [1, 0]}, "dataset_weights.1 = 0"),
    ],
)
def test_names_of_datasets(values, words):
    one, several = (build(TrainConfig, {"dataset": names}, "test") for names in (["a"], ["a", "b"]))
    assert (one.dataset, one.datasets, several.dataset) == ("a", ["a"], ["a", "b"])
    with pytest.raises(ConfigError, match=words):
        build(TrainConfig, values, "test")
