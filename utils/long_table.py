"""Results of runs as one long table, from which every table and figure is made: a row for each measured value.

A row with a draw (zero-shot: a repetition) holds the value of that draw. A row without one is over all draws: mean,
standard deviation and the 95 % interval over groups. Beside each value stand the baselines ``chance`` and ``majority``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ("run", "command", "method", "dataset", "shots", "draw", "metric", "value", "std", "low", "high")
GUESSES = ("chance", "majority")
METRICS = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "mrr": "MRR", "r@1": "R@1", "r@3": "R@3"}
DETECTION = {"sensitivity_at_1_per_h": "sensitivity at 1 false alarm/h", "auprc": "AUPRC"}
CALIBRATION = ("ece", "nll", "ece_uncalibrated", "nll_uncalibrated")  # of probabilities; the lower, the better
RECALL = "recall/"  # and the class: over all draws together
FEATURES = {
    "handcrafted": "handcrafted features",
    "invariant": "invariant features",
    "minirocket": "MiniRocket",
    "encoder": "encoder",
}
SHORT_FEATURES = {name: words.removesuffix(" features") for name, words in FEATURES.items()}  # where several are named
CALIBRATED = ", standardised by each person's unlabelled windows"
_HEADS = {"forest": "random forest"}
_MODES = {"lp": "linear probe", "finetune": "finetuning", "supervised": "supervised from scratch"}


def long_table(runs: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per value, with the columns ``COLUMNS`` and ``GUESSES``.

    Args:
        runs: name of a run -> content of its results.json.
    """
    rows = [
        {"run": name, "command": r["command"], "method": method(r), "dataset": dataset_name(r)} | row
        for name, r in runs.items()
        for row in _values(r)
    ]
    whole, real = ["shots", "draw"], ["value", "std", "low", "high", *GUESSES]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *GUESSES])
    return table.astype(dict.fromkeys(whole, "Int64") | dict.fromkeys(real, float))


def _values(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match results["command"]:
        case "train":
            yield {"metric": "loss", "value": results["loss"]}
            yield from _of_pairs(results["retrieval"] | results.get("reconstruction", {}), results["chance"])
        case "embed":
            yield {"metric": "trustworthiness", "value": results["trustworthiness"]}
        case "zeroshot":
            scores = results["metrics"] | {key: results[key] for key in ("interval", "recall")}
            yield from _scores(results, scores, None)
            yield from _of_pairs(results["retrieval"], results["retrieval_chance"])
        case _:
            for shots, scores in results["shots"].items():
                yield from _scores(results, scores, int(shots))


def _of_pairs(values: Mapping[str, float], chance: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Retrieval among pairs, each way, such as ``imu_to_video/r@1``; or an error of reconstruction."""
    for metric, value in values.items():
        yield {"metric": metric, "value": value, "chance": chance[metric.split("/")[-1]]}


def _scores(results: dict[str, Any], scores: dict[str, Any], shots: int | None) -> Iterator[dict[str, Any]]:
    for metric in (*METRICS, *DETECTION):
        if metric in scores:
            row = {"shots": shots, "metric": metric} | {name: results[name].get(metric) for name in GUESSES}
            ends = scores["interval"].get(metric, {})  # only of metrics that are means over classes
            yield (
                row
                | {"value": scores[metric]["mean"], "std": scores[metric]["std"]}
                | {end: ends.get(end) for end in ("low", "high")}
            )
            for draw, value in enumerate(scores[metric]["values"]):
                yield row | {"draw": draw, "value": value}
    for metric in CALIBRATION if "calibration" in scores else ():
        row, of_draws = {"shots": shots, "metric": metric}, scores["calibration"][metric]
        yield row | {"value": of_draws["mean"], "std": of_draws["std"]}
        yield from (row | {"draw": draw, "value": value} for draw, value in enumerate(of_draws["values"]))
    for name, value in zip(results["classes"], scores["recall"], strict=True):
        yield {"shots": shots, "metric": RECALL + name, "value": value}


def marked(name: str, simulated: bool) -> str:
    """A dataset's name, marked if the dataset is simulated."""
    return f"{name} (simulated)" if simulated else name


def named(facts: Mapping[str, Any]) -> str:
    """A dataset's name by its facts in results.json, marked if it is simulated or has no gyroscope."""
    alone = facts.get("accelerometer_only") or facts.get("settings", {}).get("missing_gyro")
    return marked(facts["name"], facts["simulated"]) + (" (accelerometer only)" if alone else "")


def dataset_name(results: dict[str, Any]) -> str:
    """Name of the dataset of a run, or of its datasets, each marked as ``named`` says."""
    if results["command"] == "train":
        alone = [{"name": results["dataset"], "simulated": results["simulated"]}]  # of earlier runs
        return " + ".join(map(named, results.get("datasets", alone)))
    datasets = results["datasets"] if results["command"] == "embed" else [results["dataset"]]
    names = ", ".join(map(named, datasets))
    source = results.get("labels_from", datasets[0])
    return names if source["name"] == datasets[0]["name"] else f"{names}, labels of {named(source)}"


def datasets_of_pretraining(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Facts of each dataset, from what a checkpoint says of its data."""
    return facts.get("parts", [facts])


def encoder_origin(results: dict[str, Any]) -> str:
    """Where an evaluated encoder comes from."""
    if results.get("encoder") == "random":
        return "random weights"
    return "pretrained on " + " + ".join(map(named, datasets_of_pretraining(results["checkpoint"]["dataset"])))


def method(results: dict[str, Any]) -> str:
    """Method of a run in words, without the dataset that it was measured on."""
    match results["command"]:
        case "train":
            return results["config"]["model"]
        case "features":
            origin = f" ({results['model']}, {encoder_origin(results)})" if results["checkpoint"] else ""
            return features_name(results["features"], results["head"]) + origin + _calibrated(results)
        case "zeroshot":
            way = "" if results["direction"] == "imu_to_video" else ", video to IMU"
            return f"{results['model']}, {encoder_origin(results)}{way}"
        case "embed":
            return f"{results['model']}, {encoder_origin(results)}"
    standardized = " on standardised embeddings" if results["config"]["standardize"] else ""
    pooling = results["imu_pooling"]  # conv_gru has none
    model = results["config"].get("imu_encoder") or results["model"]
    model = f"{model} ({pooling})" if pooling else model
    return f"{_MODES[results['mode']]}{standardized}, {model}, {encoder_origin(results)}{_calibrated(results)}"


def features_name(features: Sequence[str], head: str) -> str:
    """Features that a head reads, in words: ``encoder + handcrafted, trees``."""
    what = FEATURES[features[0]] if len(features) == 1 else " + ".join(SHORT_FEATURES[name] for name in features)
    return f"{what}, {_HEADS.get(head, head)}"


def _calibrated(results: dict[str, Any]) -> str:
    return CALIBRATED if results["calibrate"] == "person" else ""
