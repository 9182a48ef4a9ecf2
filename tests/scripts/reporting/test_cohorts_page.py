"""The page of a study of cohorts: each number is that of its run, tests are paired over people, averages are plain."""

import contextlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from configs.study import load_study, planned_runs
from scripts import report
from scripts.reporting import cohorts_gains, cohorts_people
from tests.scripts.reporting.test_study_page import ROOT
from tests.study_runs import write_runs
from utils.cohorts_interval import cohorts_interval
from utils.comparison import compare_runs
from utils.metrics import balanced_accuracy
from utils.statistics import holm

STUDY = """
title: Cohorts
page: cohorts
chosen_on: {MMEA: [p1, p6], PD: [p1]}
datasets: {Ego4D: ego, MMEA: glasses, PD: patients}
pretraining:
  best: {approach: recommended, dataset: Ego4D, config: configs/demo/pretrain.yaml, settings: {model: imu_only}}
  alone: {approach: imu_only, dataset: Ego4D, config: configs/demo/pretrain.yaml, settings: {model: imu_only}}
evaluations:
  within_mmea:
    kind: few_shot
    dataset: MMEA
    config: configs/demo/downstream.yaml
    settings: {shots: [5, 10]}
    probes: false
    baselines: [supervised]
    baseline_settings: {shots: [10]}
    read: &rows
      - {features: [handcrafted], heads: &heads [linear, trees]}
      - {features: [invariant], heads: *heads}
      - {features: [minirocket], heads: [linear]}
      - {features: [encoder], heads: *heads}
      - {features: [encoder, handcrafted], heads: [linear], approaches: [recommended]}
      - {features: [encoder], heads: *heads, approaches: [recommended], random_weights: true}
      - {features: [handcrafted], heads: [linear], calibrate: person}
  within_pd: {kind: few_shot, dataset: PD, config: configs/demo/downstream.yaml, settings: {shots: [5, 10]},
    probes: false, read: *rows}
  falls: {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml, probes: false,
    settings: {shots: [5, 10], detect: [fall], split: leave_one_group_out},
    read: [{features: [invariant], heads: [linear]}, {features: [encoder], heads: [linear]}]}
  falls_pd: {kind: few_shot, dataset: PD, config: configs/demo/downstream.yaml, probes: false,
    settings: {shots: [5, 10], detect: [turning], split: leave_one_group_out},
    read: [{features: [invariant], heads: [linear]}]}
  mmea_to_pd: {kind: few_shot, dataset: MMEA, test_dataset: PD, config: configs/demo/downstream.yaml,
    settings: {shots: [1, 10]}, probes: false, read: *rows}
"""
WORDS = {"handcrafted": 0.6, "invariant": 0.65, "best": 0.85, "alone": 0.5, "random": 0.3, "supervised": 0.45}
MISSING = "within_pd-invariant_trees"
ROCKET = [f"{name}-minirocket_linear" for name in ("within_mmea", "within_pd", "mmea_to_pd")]


def accuracy(planned, shots):
    base = max(value for word, value in WORDS.items() if word in planned.name.split("-", 1)[1])
    if "calibrated" in planned.name:
        base = 0.95
    return base + 0.005 * shots + 0.04 * ("trees" in planned.name) - 0.1 * ("pd" in planned.name)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder with study.yaml, runs/ and report/; people p0 to p7 are predicted, in runs of mmea_to_pd p0 and p1."""
    folder = tmp_path_factory.mktemp("cohorts")
    with contextlib.chdir(ROOT):
        (folder / "study.yaml").write_text(STUDY)
        write_runs(load_study(folder / "study.yaml"), folder / "runs", accuracy, (MISSING, *ROCKET), simulated=False)
        for file in folder.glob("runs/mmea_to_pd-*/predictions.csv"):
            file.write_text(re.sub(r"day(\d)", lambda found: f"day{int(found[1]) % 2}", file.read_text()))
        for file in folder.glob("runs/*/predictions.csv"):
            file.write_text(re.sub(r",,day(\d)", r",p\1,day\1", file.read_text()))
        make(folder)
    return folder


def make(folder):
    flags = ["--runs", str(folder / "runs"), "--study", str(folder / "study.yaml"), "--data_root", str(folder)]
    return report.main([*flags, "--out", str(folder / "report")])


def cells(study, name):
    frame = pd.read_csv(study / "report/tables" / f"{name}.csv", dtype=str, keep_default_na=False)
    return frame.set_index(frame.columns[:2].tolist())


def results(study, run):
    return json.loads((study / "runs" / run / "results.json").read_text())


def value(study, run, shots=10):
    return results(study, run)["shots"][str(shots)]["balanced_accuracy"]["mean"]


ROWS = {
    ("handcrafted", "trees"): "handcrafted_trees",
    ("invariant", "linear"): "invariant_linear",
    ("recommended", "linear"): "encoder_linear-best",
    ("IMU-only", "trees"): "encoder_trees-alone",
    ("recommended + handcrafted", "linear"): "encoder_handcrafted_linear-best",
    ("random weights", "linear"): "encoder_linear-random",
    ("handcrafted °", "linear"): "handcrafted_linear_calibrated",
}


def test_runs_of_random_weights_and_of_few_approaches(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    planned = {p.name: p for p in planned_runs(load_study(study / "study.yaml"), study, study / "runs")}
    drawn = planned["within_pd-encoder_trees-random"]
    assert drawn.config.random_weights and drawn.needs == ("best",) and drawn.pretrained_on is None
    assert not planned["within_pd-encoder_trees-best"].config.random_weights
    assert "within_pd-encoder_handcrafted_linear-alone" not in planned
    assert planned["within_mmea-supervised"].config.shots == [10]


@pytest.mark.parametrize(("row", "run"), ROWS.items(), ids=str)
def test_cells_are_those_of_the_runs(study, row, run):
    for table, shots, evaluations in (
        ("cohorts_within", 5, {"MMEA": "within_mmea", "PD": "within_pd"}),
        ("cohorts_across", 10, {"MMEA → PD": "mmea_to_pd"}),
    ):
        frame = cells(study, f"{table}_{shots}")
        for column, evaluation in evaluations.items():
            scores = results(study, f"{evaluation}-{run}")["shots"][str(shots)]
            mean, std = (100 * scores["balanced_accuracy"][name] for name in ("mean", "std"))
            low, high = (100 * scores["interval"]["balanced_accuracy"][end] for end in ("low", "high"))
            assert frame.loc[row, column] == f"{mean:.1f} ± {std:.1f} ({low:.1f} to {high:.1f})"


def test_chance_and_what_is_missing(study):
    frame = cells(study, "cohorts_within_10")
    assert list(frame.loc[("chance", "")]) == ["25.0", "33.3"]
    assert frame.loc[("invariant", "trees"), "PD"] == "-"
    assert ("MiniRocket", "linear") not in frame.index
    page = (study / "report/report.md").read_text()
    assert "No run with MiniRocket" in page
    assert f"shown as missing: {MISSING}." in page  # MiniRocket's runs are not listed one by one


def test_averages_over_cohorts(study):
    frame = cells(study, "cohorts_within_mean")
    both = [value(study, f"within_{name}-encoder_linear-best") for name in ("mmea", "pd")]
    ends = ends_over_people(study, ["within_mmea-encoder_linear-best", "within_pd-encoder_linear-best"])
    assert frame.loc[("recommended", "linear"), "10 labels"] == f"{100 * np.mean(both):.1f} ({ends})"
    one = value(study, "within_mmea-invariant_trees", 5)
    cell = frame.loc[("invariant", "trees"), "5 labels"]
    assert cell.startswith(f"{100 * one:.1f} (") and cell.endswith("); 1 of 2")
    assert list(frame.columns) == ["5 labels", "10 labels"]
    assert frame.loc[("supervised from scratch", "from scratch"), "5 labels"] == "-"


def of_people(study, run, left_out=(), shots=10):
    """Who is predicted, and (G, K, 3) counts, from the file row by row."""
    table = pd.read_csv(study / "runs" / run / "predictions.csv", dtype=str)
    table = table[(table["shots"] == str(shots)) & ~table["subject"].isin(left_out)]
    classes = results(study, run)["classes"]
    people = sorted(set(table["subject"]))
    counts = np.zeros((len(people), len(classes), 3))
    for row in table.itertuples():
        of = counts[people.index(row.subject)]
        of[classes.index(row.truth), 0] += row.truth == row.predicted
        of[classes.index(row.truth), 1] += 1
    return [f"{run.split('-')[0]} {name}" for name in people], counts


def ends_over_people(study, runs, others=(), left_out=((), ())):
    parts = [of_people(study, run, out) for run, out in zip(runs, left_out, strict=True)]
    tables, how = [counts for _, counts in parts], balanced_accuracy
    if others:
        pairs = zip(tables, others, left_out, strict=True)
        tables = [np.stack([counts, of_people(study, other, out)[1]], axis=1) for counts, other, out in pairs]
        how = lambda sums: balanced_accuracy(sums[:, 0]) - balanced_accuracy(sums[:, 1])  # noqa: E731
    found = cohorts_interval(tables, [people for people, _ in parts], how, seed=0)
    form = "+.1f" if others else ".1f"
    return f"{100 * found.low:{form}} to {100 * found.high:{form}}"


LEFT_OUT = (["p1", "p6"], ["p1"])


def test_averages_without_the_people_of_the_choice(study):
    frame = cells(study, "cohorts_within_mean_without")
    runs = ["within_mmea-encoder_linear-best", "within_pd-encoder_linear-best"]
    left = [of_people(study, run, out)[1].sum(0) for run, out in zip(runs, LEFT_OUT, strict=True)]
    mean = np.mean([(counts[:, 0] / counts[:, 1]).mean() for counts in left])
    ends = ends_over_people(study, runs, left_out=LEFT_OUT)
    assert frame.loc[("recommended", "linear"), "10 labels"] == f"{100 * mean:.1f} ({ends})"
    everybody = cells(study, "cohorts_within_mean")
    assert list(frame.index) == list(everybody.index) and (frame != everybody).any(axis=None)
    page = (study / "report/report.md").read_text()
    assert "Labels of 3 people" in page and "MMEA: p1, p6; PD: p1" in page and "10,000 resamples" in page
    assert (
        "intervals: MMEA → PD (2)." in page and "intervals: MMEA → PD (1)." in page and "Predicted nowhere" not in page
    )  # p0 alone is left there


def test_people_who_are_predicted_nowhere_are_named(study, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (tmp_path / "study.yaml").write_text(STUDY.replace("PD: [p1]", "PD: [p11]"))
    flags = ["--study", str(tmp_path / "study.yaml"), "--data_root", str(study), "--out", str(tmp_path / "report")]
    assert "Predicted nowhere: patients p11." in report.main(["--runs", str(study / "runs"), *flags]).read_text()


def test_an_average_without_predictions_has_no_interval(study, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    load = cohorts_people.counts_by_group

    def lost(folder, classes):
        if folder.name == "within_pd-encoder_trees-best":
            raise FileNotFoundError(folder)
        return load(folder, classes)

    monkeypatch.setattr(cohorts_people, "counts_by_group", lost)
    page = make(study)
    row = cells(study, "cohorts_within_mean").loc[("recommended", "trees"), "10 labels"]
    goal = pd.read_csv(study / "report/tables/cohorts_goals.csv", dtype=str).iloc[0]
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    make(study)
    assert re.fullmatch(r"\d\d\.\d", row) and page.is_file()
    assert goal["95 % interval"].startswith("no interval") and goal["0 in it"] == "-"


def test_rows_with_the_z_score_of_the_dataset_are_named(study):
    page = (study / "report/report.md").read_text()
    sentence = re.search(r"Encoders of ([^.]*) read the z-score of the dataset", page)
    assert "IMU-only" in sentence[1] and "invariant" not in sentence[1]


def test_gains_are_paired_tests_corrected_over_rows(study):
    frame = cells(study, "cohorts_within_gain")
    heads = {"linear": "linear", "trees": "trees", "from scratch": "linear"}
    rows = [row for row in frame.index if frame.loc[row, "MMEA"] != "-"]
    names = ROWS | {
        ("invariant", "trees"): "invariant_trees",
        ("recommended", "trees"): "encoder_trees-best",
        ("IMU-only", "linear"): "encoder_linear-alone",
        ("random weights", "trees"): "encoder_trees-random",
        ("supervised from scratch", "from scratch"): "supervised",
    }
    assert set(rows) == set(names) - {("handcrafted", "trees")}
    tests = []
    for row in rows:
        other = f"within_mmea-handcrafted_{heads[row[1]]}"
        classes = results(study, other)["classes"]
        folders = [study / "runs" / name for name in (f"within_mmea-{names[row]}", other)]
        tests.append(compare_runs(*folders, classes, 10))
    for row, test, p in zip(rows, tests, holm(np.array([t.test.p_value for t in tests])), strict=True):
        ends = f"{100 * test.interval.low:+.1f} to {100 * test.interval.high:+.1f}"
        assert frame.loc[row, "MMEA"] == f"{100 * test.difference:+.1f} ({ends}), p {p:.3f}"


def test_too_few_people_have_no_test(study):
    frame = cells(study, "cohorts_across_gain")
    run, other = (value(study, f"mmea_to_pd-{name}_linear") for name in ("invariant", "handcrafted"))
    assert frame.loc[("invariant", "linear"), "MMEA → PD"] == f"{100 * (run - other):+.1f} (2 people)"


def test_goals_are_differences_of_averages(study):
    frame = pd.read_csv(study / "report/tables/cohorts_goals.csv", dtype=str)
    without = frame[frame["people"] != "all"].set_index(["question", "row"])
    frame = frame[frame["people"] == "all"].set_index(["question", "row"])

    def mean(run):
        return np.mean([value(study, f"within_{name}-{run}") for name in ("mmea", "pd")])

    row = frame.loc[("within", "recommended, trees")]
    bare = {"handcrafted, trees": "handcrafted_trees", "invariant, linear": "invariant_linear"}
    best = max(bare, key=lambda name: mean(bare[name]))  # the missing row has no average over both cohorts
    assert row["compared with"] == best
    assert row["gain, points"] == f"{100 * (mean('encoder_trees-best') - mean(bare[best])):+.1f}"
    assert row["goal"] == "+5" and row["cohorts"] == "2"
    ours, theirs = ([f"within_{n}-{run}" for n in ("mmea", "pd")] for run in ("encoder_trees-best", bare[best]))
    assert row["95 % interval"] == ends_over_people(study, ours, theirs)
    assert row["0 in it"] == "no"
    again = without.loc[("within", "recommended, trees")]
    assert again["compared with"] == best
    assert again["95 % interval"] == ends_over_people(study, ours, theirs, left_out=LEFT_OUT) != row["95 % interval"]
    low, high = (float(end) for end in again["95 % interval"].split(" to "))
    assert low < float(again["gain, points"]) < high
    across = frame.loc[("across", "recommended + handcrafted, linear")]
    invariant = {head: value(study, f"mmea_to_pd-invariant_{head}") for head in ("linear", "trees")}
    head = max(invariant, key=invariant.get)
    difference = value(study, "mmea_to_pd-encoder_handcrafted_linear-best") - invariant[head]
    assert across["compared with"] == f"invariant, {head}" and across["goal"] == "+10"
    assert across["gain, points"] == f"{100 * difference:+.1f}"
    assert across["95 % interval"].startswith("no interval: 2 people")


def test_the_figure_has_gains_without_calibrated_rows(study, monkeypatch):
    drawn = []
    draw = cohorts_gains.gains_by_group
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cohorts_gains, "gains_by_group", lambda rows, *rest: drawn.append(rows) or draw(rows, *rest))
    make(study)
    within, across = drawn
    assert set(within["cohort"]) == {"MMEA", "PD"} and set(across["cohort"]) == {"MMEA → PD"}
    assert not any("°" in name for name in within["representation"]) and across["low"].isna().all()
    assert "handcrafted" not in set(within["representation"])
    for question in ("within", "across"):
        assert (study / f"report/figures/cohorts_{question}_gain.png").stat().st_size > 10_000
        assert f"figures/cohorts_{question}_gain.png" in (study / "report/report.md").read_text()


def test_the_papers_tables_are_left_out(study):
    page = (study / "report/report.md").read_text()
    assert not any(words in page for words in ("Table 3", "paper's order", "## Few-shot"))
    assert "## Labels of one cohort, answers on another" in page and "## What pretraining gains" in page


def test_no_results_at_all(study, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (tmp_path / "runs").mkdir()
    flags = ["--runs", str(tmp_path / "runs"), "--study", str(study / "study.yaml"), "--data_root", str(tmp_path)]
    assert "missing: no evaluation of a cohort" in report.main([*flags, "--out", str(tmp_path / "report")]).read_text()


def test_events_are_those_of_the_runs(study):
    for metric, chance in (("sensitivity_at_1_per_h", 0.01), ("auprc", 0.2)):
        shown = pd.read_csv(study / "report" / "tables" / f"cohorts_{metric}.csv").set_index("representation")
        for name, run in (("invariant", "invariant_linear"), ("recommended", "encoder_linear-best")):
            results = json.loads((study / "runs" / f"falls-{run}" / "results.json").read_text())
            cell = shown.loc[name, "10 labels"]
            assert cell.startswith(f"{100 * results['shots']['10'][metric]['mean']:.1f} ±")
        assert shown.loc["chance", "5 labels"] == f"{100 * chance:.1f}"


def test_each_cohort_with_events_has_its_table(study):
    for metric in ("sensitivity_at_1_per_h", "auprc"):
        shown = pd.read_csv(study / "report" / "tables" / f"cohorts_{metric}_2.csv").set_index("representation")
        scores = results(study, "falls_pd-invariant_linear")["shots"]["5"][metric]
        assert shown.loc["invariant", "5 labels"].startswith(f"{100 * scores['mean']:.1f} ±")
        assert list(shown.index) == ["invariant", "chance"]
    page = (study / "report" / "report.md").read_text()
    assert "MMEA: AUPRC" in page and "PD: AUPRC" in page


def test_what_was_left_out_stands_on_the_page(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    part = STUDY.replace("evaluations:", "recordings: {patients: {format: hapt, raw: pd}}\nevaluations:")
    (tmp_path / "study.yaml").write_text(
        part.replace("alone: {approach: imu_only, dataset: Ego4D,", "alone: {approach: imu_only, dataset: [MMEA, PD],")
    )
    (tmp_path / "runs").mkdir()
    flags = ["--runs", str(tmp_path / "runs"), "--study", str(tmp_path / "study.yaml"), "--data_root", str(tmp_path)]
    page = report.main([*flags, "--out", str(tmp_path / "report")]).read_text()
    assert "alone_on_glasses: pretrained on MMEA only, of MMEA + PD." in page
    [line] = [line for line in page.splitlines() if line.startswith("left out: ")]
    assert "(within_pd, falls_pd, mmea_to_pd)" in line and "patients is not prepared" in line
    assert "within_pd-" not in page and "within_mmea-encoder_linear-alone_on_glasses" in page
