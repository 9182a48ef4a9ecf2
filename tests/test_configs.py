"""Every shipped YAML is valid for the command of its folder."""

from pathlib import Path

import pytest

from configs.data import PrepareConfig, SimulateConfig
from configs.evaluation import DownstreamConfig, ZeroshotConfig
from configs.load import build, read_yaml
from configs.training import TrainConfig

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FOLDERS = {"pretrain": TrainConfig, "downstream": DownstreamConfig, "zeroshot": ZeroshotConfig}
DEMO = {
    "pretrain": TrainConfig,
    "downstream": DownstreamConfig,
    "zeroshot": ZeroshotConfig,
    "simulate": SimulateConfig,
    "prepare": PrepareConfig,
}
# Not settings of a command, but data that a setting names.
MAPPINGS = [path for path in CONFIGS.rglob("*.yaml") if "map" in path.stem or "pd_to" in path.stem]
FILES = sorted({f for name in ("demo", *FOLDERS) for f in (CONFIGS / name).rglob("*.yaml")} - set(MAPPINGS))
# What a user must add on the command line, because only they know it.
GIVEN = {
    TrainConfig: {},
    DownstreamConfig: {"checkpoint": "checkpoint.pt", "dataset": "mmea"},
    ZeroshotConfig: {"checkpoint": "checkpoint.pt", "dataset": "mmea"},
    SimulateConfig: {},
    PrepareConfig: {"format": "mmea", "raw": "raw", "out": "data/x"},
}


def schema_of(path: Path):
    folder = path.relative_to(CONFIGS).parts[0]
    return DEMO[path.stem.split("_")[0]] if folder == "demo" else FOLDERS[folder]


def test_there_are_shipped_files():
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_shipped_file_is_valid(path):
    schema = schema_of(path)
    build(schema, GIVEN[schema] | read_yaml(path), str(path))
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith("# "), "the first line says what the file is for"


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_shipped_class_map_is_a_mapping(path):
    assert read_yaml(path)
