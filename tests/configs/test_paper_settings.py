"""The presets that are named after the paper have its settings, and what differs stands in configs/README.md."""

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.evaluation import DownstreamConfig, ZeroshotConfig
from configs.load import build, read_yaml
from configs.training import TrainConfig
from datasets.store import open_store
from datasets.windows import list_windows
from models import build_model, load_imu_encoder, losses
from models.batchnorm import CrossRankBatchNorm
from models.imu import patches_per_window
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint
from utils.optim import parameter_groups, warmup_cosine

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PAPER = read_yaml(CONFIGS / "paper_settings.yaml")
SCHEMAS = {"pretrain": TrainConfig, "downstream": DownstreamConfig, "zeroshot": ZeroshotConfig}
TINY = {"video_weights": "none", "image_size": 16, "video_patch": 8, "clip_len": 2, "freeze_video": False}
TINY |= {"video_dim": 8, "video_heads": 2, "video_layers": 1, "video_ffn": 8}
NOTHING = "–"
Row = tuple[str, str, str, str]  # setting, paper, code, ours, as written


def members(names: list[str]) -> list[str]:
    """Presets, groups of presets and groups of groups as presets."""
    return [p for name in names for p in (members(PAPER["groups"][name]) if name in PAPER["groups"] else [name])]


PRESETS = sorted({preset for entry in PAPER["entries"] for preset in members(entry["presets"])})


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory) -> dict[str, Any]:
    """What the software does whatever the preset."""
    root = tmp_path_factory.mktemp("paper")
    store = write_dataset(root / "data" / "short", ["walking", "standing"], seconds=9, video=False)
    write_checkpoint(root / "last.pt", store)
    windows = len(list_windows(open_store(root / "data", "short")))
    return {
        "a window shorter than 5 s": {2: "left out", 4: "kept"}[windows],
        "frozen encoder": "in training mode" if load_imu_encoder(root / "last.pt")[0].training else "in eval mode",
    }


@pytest.fixture(scope="module")
def resolved(measured_once) -> dict[str, dict[str, Any]]:
    """Preset -> setting, or name of what is measured, -> value."""
    found = {}
    for preset in PRESETS:
        schema = SCHEMAS[preset.split("/")[0]]
        values = read_yaml(CONFIGS / f"{preset}.yaml") | ({} if schema is TrainConfig else {"checkpoint": "x.pt"})
        config = build(schema, values, preset)
        found[preset] = config.model_dump(mode="json") | measured_once
        if schema is TrainConfig:
            found[preset] |= pretraining_facts(config)
        if schema is DownstreamConfig:
            for mode, word in (("finetune", "finetuning"), ("supervised", "supervised")):
                other = build(schema, values | {"mode": mode}, preset)
                found[preset] |= {f"{word} encoder_lr": other.encoder_lr, f"{word} epochs": other.epochs}
    return found


def pretraining_facts(config: TrainConfig) -> dict[str, Any]:
    """What the software makes of a preset's settings, measured on its model with a small video encoder."""
    facts: dict[str, Any] = {"patches of a channel": patches_per_window(config.imu_patch)}
    facts["last learning rate"] = round(config.lr * warmup_cosine(10**5 - 1, 10**5, config.warmup), 9)
    if config.model == "imu_only":
        return facts
    model = build_model(build(TrainConfig, config.model_dump() | TINY | {"heads": "projection"}, "small"))
    kept = parameter_groups(model, config.weight_decay)[1]
    facts["decay of norms and biases"] = not kept["params"] or kept["weight_decay"] > 0
    norms = [part for part in model.imu_encoder.modules() if isinstance(part, torch.nn.BatchNorm1d)]
    whole = all(isinstance(part, CrossRankBatchNorm) for part in norms)
    facts["batch statistics"] = "of the whole batch" if whole else "of each rank's part"
    facts["first logit scale"] = round(model.log_scale.exp().item(), 3)
    facts["first logit bias"] = model.bias.item()
    ones = torch.ones(32, 4, dtype=torch.float64)
    loss = losses.contrastive_loss(config.loss, ones, 0 * ones, ones[0, 0], model.bias.detach().double())
    facts["loss of 32 pairs of similarity 0"] = round(loss.item(), 2)
    facts["negatives"] = negatives(config.loss)
    return facts


def negatives(name: str) -> str:
    """Whether the loss of a rank feels pairs of another."""
    rows, one = torch.eye(4, dtype=torch.float64), torch.ones((), dtype=torch.float64)
    alone = losses.contrastive_loss(name, rows, rows, one, -one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "gather", lambda z: torch.cat([z, -z]))
        both = losses.contrastive_loss(name, rows, rows, one, -one)
    return "of each rank's part" if math.isclose(alone, both) else "of the whole batch"


def written(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list):
        return " ".join(map(written, value))
    return f"{value:g}" if isinstance(value, int | float) else value


def differences(resolved: dict[str, dict[str, Any]]) -> dict[Row, set[str]]:
    """Rows that the table must have, and the presets of each."""
    rows = defaultdict(set)
    for entry in PAPER["entries"]:
        sources = [written(entry[source]) for source in ("paper", "code") if source in entry]
        for preset in members(entry["presets"]):
            ours = written(resolved[preset][entry["setting"]])
            if not sources or any(value != ours for value in sources):
                paper = f"{written(entry['paper'])} (§ {entry['section']})" if "paper" in entry else NOTHING
                code = written(entry["code"]) if "code" in entry else NOTHING
                rows[entry["setting"], paper, code, ours].add(preset)
    return dict(rows)


def table(text: str) -> dict[Row, set[str]]:
    """Rows of the README's table, and the presets of each."""
    lines = text[text.index("| setting |") :].splitlines()[2:]
    rows: dict[Row, set[str]] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        *row, presets, why = [cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")]
        assert why and tuple(row) not in rows, line
        rows[tuple(row)] = set(members(presets.split(", ")))
    return rows


README = (CONFIGS / "README.md").read_text(encoding="utf-8")


def test_the_table_is_what_differs(resolved):
    assert table(README) == differences(resolved)


def test_a_stray_value_is_found(resolved):
    stray = resolved | {"pretrain/mmea": resolved["pretrain/mmea"] | {"imu_scaling": "none"}}
    assert differences(stray).keys() - table(README).keys() == {("imu_scaling", NOTHING, "std", "none")}


def test_a_row_without_a_difference_is_found(resolved):
    last = re.findall(r"^\| .* \|$", README, flags=re.MULTILINE)[-1]
    row = ("lr", "0.0001 (§ 4)", "0.0001", "0.0001")
    more = README.replace(last, f"{last}\n| {' | '.join(row)} | ours | none |")
    assert table(more).keys() - differences(resolved).keys() == {row}


def test_each_value_stands_once():
    named = [(entry["setting"], preset) for entry in PAPER["entries"] for preset in members(entry["presets"])]
    assert len(set(named)) == len(named)
    assert all(("paper" in entry) == ("section" in entry) for entry in PAPER["entries"])


@pytest.mark.parametrize("folder", SCHEMAS)
def test_every_setting_is_accounted_for(folder, resolved):
    """A setting of the schema has a value of the paper, or no say in the result; nothing else is named."""
    presets = [preset for preset in PRESETS if preset.startswith(folder)]
    compared = {e["setting"] for e in PAPER["entries"] if set(members(e["presets"])) & set(presets)}
    idle, fields = PAPER["no_effect"][folder], set(SCHEMAS[folder].model_fields)
    assert not compared & set(idle) and set(idle) <= fields
    assert fields <= compared | set(idle)
    assert compared <= {name for preset in presets for name in resolved[preset]}


def test_every_preset_of_the_paper_is_compared():
    shipped = {f"{folder}/{path.stem}" for folder in SCHEMAS for path in (CONFIGS / folder).glob("*.yaml")}
    others = {name for name in shipped if "recommended_" in name}
    others |= {"pretrain/gopro", "pretrain/real_pairs", "pretrain/imu_only_real_pairs"}
    others |= {"pretrain/masked_contrast", "pretrain/neighbours", "pretrain/primus", "pretrain/comodo"}
    others |= {"zeroshot/pd_to_mmea", "zeroshot/utd_mhad"}
    others |= {
        f"downstream/{name}"
        for name in (
            *("classyglass", "classyglass2", "stanford_fog", "cohorts", "cohorts_map", "utd_mhad"),
            *("hapt", "hapt_map", "sisfall", "sisfall_map", "sisfall_falls", "sp_sw_har", "daily_movements"),
        )
    }
    assert set(PRESETS) == shipped - others
    for name in shipped:
        assert f"{name.split('/')[1]}.yaml" in README, f"{name} is not listed in configs/README.md"
