"""The paper's own numbers, from ``paper_results.yaml`` beside this file."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from configs.load import read_yaml

FILE = Path(__file__).with_name("paper_results.yaml")
FEW_SHOT_LABELS = (10, 20, 50, 100)
MOST_LABELS = max(FEW_SHOT_LABELS)
Value = tuple[float, float]  # mean and standard deviation, as shares of 1


@dataclass(frozen=True)
class PaperResults:
    """Tables of the paper; every accuracy as a share of 1.

    Attributes:
        datasets: Table 1: role -> column -> text.
        few_shot: Table 3: (pretraining dataset, approach, mode, evaluated dataset, shots) -> balanced accuracy.
        zero_shot: Table 4: (pretraining dataset, approach, evaluated dataset, metric) -> value.
        ablations: Table 5: (approach, mode, evaluated dataset) -> balanced accuracy at 100 shots.
    """

    datasets: dict[str, dict[str, str]]
    few_shot: dict[tuple[str, str, str, str, int], Value]
    zero_shot: dict[tuple[str, str, str, str], Value]
    ablations: dict[tuple[str, str, str], Value]


@cache
def paper_results() -> PaperResults:
    """Read the file.

    Raises:
        ValueError: if a row has not as many values as there are columns; names it.
    """
    tables = read_yaml(FILE)
    few_shot, zero_shot, ablations = {}, {}, {}
    columns = tables["few_shot"].pop("columns")
    for pretraining, approaches in tables["few_shot"].items():
        for approach, by_shots in approaches.items():
            for shots, row in by_shots.items():
                for (mode, role), value in _row(f"few_shot {pretraining} {approach} {shots}", columns, row):
                    few_shot[pretraining, approach, mode, role, int(shots)] = _share(value)
    metrics = tables["zero_shot"].pop("columns")
    for approach, pairs in tables["zero_shot"].items():
        for pretraining, by_role in pairs.items():
            for role, row in by_role.items():
                for metric, value in _row(f"zero_shot {approach} {pretraining} {role}", metrics, row):
                    value = _share(value) if metric == "balanced_accuracy" else tuple(value)
                    zero_shot[pretraining, approach, role, metric] = value
    columns = tables["ablations"].pop("columns")
    for approach, row in tables["ablations"].items():
        for (mode, role), value in _row(f"ablations {approach}", columns, row):
            ablations[approach, mode, role] = _share(value)
    return PaperResults(tables["datasets"], few_shot, zero_shot, ablations)


def _row(name: str, columns: list, row: list) -> list[tuple]:
    if len(row) != len(columns):
        raise ValueError(f"{FILE.name}: {name} has {len(row)} values for the {len(columns)} columns {columns}")
    return list(zip(columns, row, strict=True))


def _share(percent: list[float]) -> Value:
    mean, std = percent
    return mean / 100, std / 100
