"""The paper's tables from a study's runs: every number is that of its run, what is missing or apart says so."""

import contextlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from configs.study import load_study, planned_runs
from scripts import report
from scripts.reporting import study_page
from scripts.reporting.study_results import match, study_table
from tests.prepared import write_dataset
from tests.study_runs import write_runs

ROOT = Path(__file__).resolve().parents[3]
STUDY = """
title: A small study
datasets: {Ego4D: sim_ego4d, MMEA: sim_mmea, PD: sim_pd}
pretraining:
  ours_ego4d: {approach: ours, dataset: Ego4D, config: configs/demo/pretrain.yaml}
  imu_only_ego4d: {approach: imu_only, dataset: Ego4D, config: configs/demo/pretrain.yaml, settings: {model: imu_only}}
  imu2clip_ego4d: {approach: imu2clip, dataset: Ego4D, config: configs/demo/pretrain.yaml,
    settings: {model: imu2clip, embed_dim: 512}}
  clip_ego4d: {approach: clip, dataset: Ego4D, config: configs/demo/pretrain.yaml, settings: {video_encoder: clip}}
  ours_mmea: {approach: ours, dataset: MMEA, config: configs/demo/pretrain.yaml}
evaluations:
  probe_mmea: {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml,
    baselines: [random, supervised, handcrafted]}
  probe_pd: {kind: few_shot, dataset: PD, config: configs/demo/downstream.yaml,
    baselines: [random, supervised, handcrafted]}
  finetune_mmea: {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml,
    settings: {mode: finetune, standardize: false}}
  zeroshot_mmea: {kind: zero_shot, dataset: MMEA, config: configs/demo/zeroshot_mmea.yaml,
    of: [ours_ego4d, imu2clip_ego4d, ours_mmea]}
  reverse_mmea: {kind: zero_shot, dataset: MMEA, config: configs/demo/zeroshot_mmea.yaml,
    settings: {direction: video_to_imu}, of: [ours_ego4d, imu2clip_ego4d]}
"""
BASE = {
    "ours": 0.8,
    "imu_only": 0.6,
    "imu2clip": 0.85,
    "clip": 0.79,
    "random": 0.35,
    "supervised": 0.45,
    "handcrafted": 0.7,
}
LABELS = {"table1_datasets": 4, "table3_few_shot": 3, "table3_intervals": 3, "table4_zero_shot": 2}
LABELS |= {"table4_intervals": 2, "table5_ablations": 1, "order": 5, "order_summary": 1}  # columns of words
MISSING = ("probe_pd-imu_only_ego4d", "zeroshot_mmea-imu2clip_ego4d")


def accuracy(cell, shots):
    return BASE[cell.approach] + shots / 500 if shots else BASE[cell.approach] / 2


def change(run, **changes):
    path = run / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def on_other_windows(folder):
    """A run as one that was measured on windows of its own."""
    shots = json.loads((folder / "results.json").read_text())["shots"]
    change(folder, shots={n: row | {"windows_sha256": "other"} for n, row in shots.items()})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder with study.yaml, data/, runs/ and report/."""
    folder = tmp_path_factory.mktemp("study")
    with contextlib.chdir(ROOT):  # paths in a study file start there
        (folder / "study.yaml").write_text(STUDY)
        write_runs(load_study(folder / "study.yaml"), folder / "runs", accuracy, leave_out=MISSING)
        on_other_windows(folder / "runs/probe_mmea-random")
        settings = json.loads((folder / "runs/probe_mmea-clip_ego4d/results.json").read_text())["config"]
        change(folder / "runs/probe_mmea-clip_ego4d", config=settings | {"lr": 7.0})
        short = {"fall": {"windows": 64, "fewest_shots": 43, "most_shots": 44}}
        for run in (folder / "runs").glob("probe_mmea-*"):
            change(run, shortened_classes=short, siblings_share=0.3125)
        write_dataset(folder / "data/sim_mmea", ["walking", "downstairs"], frame_size=16)
        make(folder, "report")
    return folder


def make(folder, name, *more):
    flags = ["--runs", str(folder / "runs"), "--study", str(folder / "study.yaml"), "--data_root", str(folder / "data")]
    return report.main([*flags, "--out", str(folder / name), "--title", "Small study", *more])


def table(study, name):
    """Text of the cells of a table by the labels of the row and the column."""
    frame = pd.read_csv(study / "report" / "tables" / f"{name}.csv", dtype=str, keep_default_na=False)
    labels = LABELS[name]
    return {
        (*row[:labels], column): cell
        for row in frame.to_numpy().tolist()
        for column, cell in zip(frame.columns[labels:], row[labels:], strict=True)
    }


def results(study, run):
    return json.loads((study / "runs" / run / "results.json").read_text())


def written(value):
    """A number as the tables show it, computed from its text."""
    return f"{value['mean'] * 100:.1f} ± {value['std'] * 100:.1f}"


@pytest.mark.parametrize("name", ["table3_few_shot", "table5_ablations"])
def test_notes_say_what_is_short_and_what_leaks(study, name):
    short = "fewer windows where more shots are asked for: fall with 43 to 44 of its 64."
    for suffix in ("md", "tex"):
        text = (study / f"report/tables/{name}.{suffix}").read_text().replace("\\_", "_").replace("\\%", "%")
        assert text.count(f"sim_mmea (simulated): Shortened, trained on {short}") == 1
        assert text.count("31.2 % of the held-out windows have another window of their recording among the 50") == 1
    assert short in (study / "report/report.html").read_text()


def test_table_3_has_every_run_and_the_papers_numbers(study):
    cells = table(study, "table3_few_shot")
    for evaluation, column in (
        ("probe_mmea", "linear probing, MMEA"),
        ("probe_pd", "linear probing, PD"),
        ("finetune_mmea", "finetuning, MMEA"),
    ):
        for run, on, label in (
            ("ours_ego4d", "Ego4D (simulated)", "ours"),
            ("imu_only_ego4d", "Ego4D (simulated)", "IMU-only"),
            ("imu2clip_ego4d", "Ego4D (simulated)", "IMU2CLIP"),
            ("ours_mmea", "MMEA (simulated)", "ours"),
        ):
            for shots in ("10", "20", "50"):
                cell = cells[on, label, shots, f"{column} (simulated), here"]
                if f"{evaluation}-{run}" in MISSING:
                    assert cell == "missing"
                    continue
                value = results(study, f"{evaluation}-{run}")["shots"][shots]["balanced_accuracy"]
                in_distribution = run == "ours_mmea" and evaluation.endswith("mmea")
                assert cell == written(value) + ("†" if in_distribution else "")
    row = ("Ego4D (simulated)", "ours", "10")
    assert cells[*row, "linear probing, MMEA (simulated), paper"] == "91.62 ± 1.49"
    assert cells[*row, "finetuning, MMEA (simulated), paper"] == "90.28 ± 0.02"
    assert cells["MMEA (simulated)", "ours", "50", "linear probing, PD (simulated), paper"] == "63.27 ± 1.75"
    assert cells["none", "supervised from scratch", "10", "linear probing, MMEA (simulated), paper"] == "–"
    assert cells["", "chance", "", "linear probing, PD (simulated), here"] == "33.3"
    assert cells["", "majority", "", "finetuning, MMEA (simulated), here"] == "25.0"
    assert not any(label == "ours with ViT-CLIP" for _, label, *_ in cells)


def test_other_windows_and_other_settings_are_marked(study):
    cells = table(study, "table3_few_shot")
    random = cells["none", "random weights", "10", "linear probing, MMEA (simulated), here"]
    assert random.endswith("≠")
    scratch = cells["none", "supervised from scratch", "10", "linear probing, MMEA (simulated), here"]
    assert scratch[-1].isdigit()
    cells = table(study, "table5_ablations")
    assert cells["ours with ViT-CLIP", "linear probing, MMEA (simulated), here"].endswith("‡")
    assert cells["ours with ViT-CLIP", "finetuning, MMEA (simulated), here"].endswith(tuple("0123456789"))
    text = (study / "report" / "report.md").read_text()
    assert "Run with other settings than the study has: probe_mmea-clip_ego4d (lr)." in text
    assert "≠ measured on other windows" in text and "‡ run with other settings" in text
    assert "† pretrained, without labels, on recordings of the evaluated dataset" in text


def test_baselines_and_intervals(study):
    cells = table(study, "table3_few_shot")
    for baseline, label in (("supervised", "supervised from scratch"), ("handcrafted", "handcrafted features")):
        value = results(study, f"probe_pd-{baseline}")["shots"]["20"]["balanced_accuracy"]
        assert cells["none", label, "20", "linear probing, PD (simulated), here"] == written(value)
        assert cells["none", label, "20", "finetuning, MMEA (simulated), here"] == "–"  # not in the study
    cells = table(study, "table3_intervals")
    ends = results(study, "finetune_mmea-ours_mmea")["shots"]["10"]["interval"]["balanced_accuracy"]
    shown = cells["MMEA (simulated)", "ours", "10", "finetuning, MMEA (simulated)"]
    assert shown == f"{100 * ends['low']:.1f} to {100 * ends['high']:.1f}"
    assert cells["Ego4D (simulated)", "IMU-only", "10", "linear probing, PD (simulated)"] == "-"  # missing


def test_table_5_is_at_the_most_labels(study):
    cells = table(study, "table5_ablations")
    assert list(dict.fromkeys(row for row, _ in cells)) == [
        "IMU2CLIP",
        "ours with ViT-CLIP",
        "ours",
        "chance",
        "majority",
    ]
    value = results(study, "probe_mmea-ours_ego4d")["shots"]["50"]["balanced_accuracy"]
    assert cells["ours", "linear probing, MMEA (simulated), here"] == written(value)
    assert (
        cells["ours with ViT-CLIP", "linear probing, PD (simulated), paper, 100 labels"]
        == "54.17 ± 1.03"[:5] + " ± 1.08"
    )
    assert "50 (linear probing), 50 (finetuning); the paper: 100. All pretrained on Ego4D (simulated)" in (
        study / "report/tables/table5_ablations.md"
    ).read_text(encoding="utf-8")


def test_table_4(study):
    cells = table(study, "table4_zero_shot")
    pair = "Ego4D (simulated) → MMEA (simulated)"
    metrics = results(study, "zeroshot_mmea-ours_ego4d")["metrics"]
    assert cells[pair, "ours", "B. Acc., %, here"] == written(metrics["balanced_accuracy"])
    assert cells[pair, "ours", "R@3, here"] == f"{metrics['r@3']['mean']:.3f} ± {metrics['r@3']['std']:.3f}"
    assert cells[pair, "ours", "B. Acc., %, paper"] == "32.852 ± 1.166"
    assert cells[pair, "ours", "MRR, paper"] == "0.549 ± 0.021"
    assert cells[pair, "IMU2CLIP", "F1, here"] == "missing"
    assert cells[pair, "chance", "MRR, here"] == "0.500"
    assert cells[pair, "majority", "MRR, here"] == "–"  # no such number
    assert cells["MMEA (simulated) → MMEA (simulated)", "ours", "R@1, here"].endswith("†")
    ends = results(study, "zeroshot_mmea-ours_ego4d")["interval"]["balanced_accuracy"]
    shown = table(study, "table4_intervals")[pair, "ours", "balanced accuracy"]
    assert shown == f"{100 * ends['low']:.1f} to {100 * ends['high']:.1f}"
    reverse = f"{pair}, video to IMU"
    metrics = results(study, "reverse_mmea-imu2clip_ego4d")["metrics"]
    assert cells[reverse, "IMU2CLIP", "B. Acc., %, here"] == written(metrics["balanced_accuracy"])
    assert cells[reverse, "IMU2CLIP", "B. Acc., %, paper"] == "–"  # the paper went one way only


def test_table_1_names_what_cannot_be_opened(study):
    cells = table(study, "table1_datasets")
    assert cells["MMEA", "sim_mmea (simulated)", "video / IMU", "simulated", "5 s windows"] == "6"
    assert cells["MMEA", "in the paper", "video / IMU", "general", "windows per class"] == "684"
    assert cells["PD", "sim_pd", "missing", "missing", "hours"] == "missing"
    assert "PD: no dataset 'sim_pd' under" in (study / "report/report.md").read_text(encoding="utf-8")


def test_the_order_is_that_of_the_numbers(study):
    cells = table(study, "order")
    cases = list(dict.fromkeys(key[:5] for key in cells))
    for key in cases:
        row = {column: cells[*key, column] for column in ("first", "second", "difference")}
        if key[4] == "missing":
            assert "missing" in (row["first"], row["second"])
            continue
        (a, std_a), (b, std_b) = (map(float, row[name].split(" ± ")) for name in ("first", "second"))
        gap, std = float(row["difference"]), max(std_a, std_b)
        assert gap == pytest.approx(a - b, abs=0.11)  # rounded three times
        if key[4] != "not comparable: other windows" and abs(abs(gap) - std) > 0.11:
            assert key[4] == ("within one std" if abs(gap) <= std else "holds" if gap > 0 else "does not hold"), key
    assert {"holds", "within one std", "missing"} <= {key[4] for key in cases}
    case = ("ours over IMU2CLIP", "Ego4D (simulated) → MMEA (simulated)", "finetuning", "10")
    (verdict,) = [key[4] for key in cases if key[:4] == case]
    assert cells[*case, verdict, "in the paper"] == "+57.8"
    value = results(study, "finetune_mmea-ours_ego4d")["shots"]["10"]["balanced_accuracy"]
    assert cells[*case, verdict, "first"] == written(value)
    summary = table(study, "order_summary")
    for claim in {key[0] for key in cases}:
        verdicts = [key[4] for key in cases if key[0] == claim]
        assert summary[claim, "cases"] == str(len(verdicts))
        for verdict in ("holds", "within one std", "does not hold", "missing"):
            assert summary[claim, verdict] == str(verdicts.count(verdict))
    tested = [key for key in cases if cells[*key, "groups"].isdigit()]
    assert tested and {cells[*key, "groups"] for key in tested} == {"8"}
    text = (study / "report/tables/order.md").read_text(encoding="utf-8")
    least = min(1, len(tested) * 2**-7)  # 8 sessions, whose signs may flip: 2 of 2^8 patterns are the most extreme
    assert f"with {len(tested)} tests no corrected p-value can be below {least:.3f}" in text
    for key in tested:
        p, corrected = (float(cells[*key, name]) for name in ("p", "p (Holm)"))
        assert 0.007 <= p <= corrected <= 1
        low, high = (float(x) for x in cells[*key, "95 % interval"].split(" to "))
        assert low <= float(cells[*key, "difference"]) <= high


def test_a_baseline_of_other_windows_is_not_compared(study, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = study / "runs"
    before = results(study, "probe_pd-supervised")
    on_other_windows(runs / "probe_pd-supervised")
    try:
        make(study, "other")
    finally:
        change(runs / "probe_pd-supervised", shots=before["shots"])
    frame = pd.read_csv(study / "other/tables/order.csv")
    supervised = frame["claim of the paper"].str.contains("supervised") & frame.iloc[:, 1].str.contains("PD")
    assert set(frame["verdict"][supervised]) == {"not comparable: other windows", "missing"}


def test_figure_3_has_a_line_per_method_and_mode(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = load_study(study / "study.yaml")
    runs, _ = report.find_runs([study / "runs"])
    planned = planned_runs(plan, study / "data", study / "runs")
    rows = study_table(plan, planned, match(planned, runs))
    drawn = study_page.figure_3_lines(rows[rows["table"] == "window"])
    assert drawn["panel"].unique().tolist() == [
        "Ego4D (simulated) → MMEA (simulated)",
        "Ego4D (simulated) → PD (simulated)",
        "MMEA (simulated) → MMEA (simulated), in-distribution",
        "MMEA (simulated) → PD (simulated)",
    ]
    panel = drawn[drawn["panel"] == "Ego4D (simulated) → MMEA (simulated)"]
    assert set(panel["chance"]) == {0.25}
    expected = {
        "cross-modal, linear probing": "probe_mmea-ours_ego4d",
        "cross-modal, finetuning": "finetune_mmea-ours_ego4d",
        "unimodal, linear probing": "probe_mmea-imu_only_ego4d",
        "unimodal, finetuning": "finetune_mmea-imu_only_ego4d",
        "supervised from scratch": "probe_mmea-supervised",
        "handcrafted features": "probe_mmea-handcrafted",
        "random weights≠": "probe_mmea-random",
    }
    assert panel["line"].unique().tolist() == list(expected)
    for name, line in panel.groupby("line"):
        shots = results(study, expected[name])["shots"]
        values = {int(n): row["balanced_accuracy"] for n, row in shots.items()}
        shown = {row.shots: (row.value, row.std) for row in line.itertuples()}
        assert shown == {n: (value["mean"], value["std"]) for n, value in values.items()}
        assert line["dashed"].all() == ("finetuning" in name)


def test_nothing_yet_is_a_page_of_missing_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "runs").mkdir()
    text = make(tmp_path, "report").read_text(encoding="utf-8")
    assert "0 of the study's" in text and "missing: no dataset of the study has labels and video" in text
    assert set(re.findall(r"\| (\d\d\.\d ± \d\.\d) \|", text)) == set()
    assert text.count("missing") > 50 and "91.62 ± 1.49" in text


def test_doubled_runs_and_runs_of_another_command_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "study.yaml").write_text(STUDY)
    study = load_study(tmp_path / "study.yaml")
    others = tuple(cell for cell in ("ours_ego4d",))
    everything = [name for name in study.pretraining if name not in others]
    names = tuple(everything) + tuple(
        f"{e}-{n}" for e in study.evaluations for n in (*study.pretraining, "random", "supervised", "handcrafted")
    )
    write_runs(study, tmp_path / "runs", accuracy, leave_out=names)
    change(tmp_path / "runs/ours_ego4d", command="zeroshot")
    with pytest.raises(ValueError, match="is a result of zeroshot, the study's ours_ego4d is train"):
        make(tmp_path, "report")
    change(tmp_path / "runs/ours_ego4d", command="train")
    write_runs(study, tmp_path / "runs/again", accuracy, leave_out=names)
    with pytest.raises(ValueError, match="are both the study's ours_ego4d"):
        make(tmp_path, "report")


class Page(HTMLParser):
    """Links, pictures and cells of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.cells, self.ids, self.open = [], [], [], set(), []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if name == "a":
            self.links.append(attributes["href"])
        if name == "img":
            self.pictures.append(attributes)
        if name == "td":
            self.cells.append("")
            self.open.append(name)

    def handle_endtag(self, name):
        if name == "td":
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.cells[-1] += data


def test_the_page_in_a_browser(study, browser):
    """Numbers as they are in the results, pictures that load, links that lead somewhere, nothing asked of others."""
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    # The page forbids every script; here, one is let in to ask the browser what it made of the pictures.
    count = (
        "<script>for (const i of document.images) i.setAttribute('data-loaded', i.complete && i.naturalWidth)</script>"
    )
    probed = page.replace("style-src", "script-src 'unsafe-inline'; style-src", 1).replace("</body>", count + "</body>")
    visit = browser.open(probed, height=4000)
    assert visit.requests == []
    shown = Page(visit.dom)
    cells = set(shown.cells)
    for run in (study / "runs").glob("*-*"):
        found = results(study, run.name)
        shown_rows = [found["metrics"]] if "metrics" in found else list(found["shots"].values())
        for row in shown_rows[-1:] if "clip_ego4d" in run.name else shown_rows:  # of ablations, the most labels
            assert any(cell.startswith(written(row["balanced_accuracy"])) for cell in cells), run.name
    assert {"91.62 ± 1.49", "32.852 ± 1.166", "missing", "within one std"} <= cells
    assert len(shown.pictures) >= 2 + 5
    assert all(int(picture["data-loaded"]) > 0 for picture in shown.pictures)
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in shown.pictures)
    assert len(shown.links) > 50
    for link in shown.links:
        if link.startswith("#"):
            assert link[1:] in shown.ids
        else:
            assert (study / "report" / unquote(link)).resolve().exists(), link
    assert any(unquote(link).endswith("runs/probe_mmea-ours_ego4d") for link in shown.links)
    assert "Everything measured here is simulated" in visit.dom


def test_every_table_and_figure_is_a_file(study):
    tables = {path.name for path in (study / "report/tables").iterdir()}
    for name in ("table1_datasets", "table3_few_shot", "table4_zero_shot", "table5_ablations", "order", "runs"):
        assert {f"{name}.md", f"{name}.tex", f"{name}.csv"} <= tables
    for name in ("figure2_windows", "figure3_few_shot"):
        assert (study / f"report/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (study / f"report/figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_encoders_of_several_datasets(tmp_path, monkeypatch):
    """Named by all of them, each marked, and in-distribution on each."""
    monkeypatch.chdir(ROOT)
    text = STUDY.replace(
        "ours_mmea: {approach: ours, dataset: MMEA,", "ours_both: {approach: ours, dataset: [Ego4D, MMEA],"
    )
    (tmp_path / "study.yaml").write_text(text.replace(", ours_mmea", ", ours_both"))
    plan = load_study(tmp_path / "study.yaml")
    planned = planned_runs(plan, Path("data"), tmp_path / "runs")
    names = {"ours_ego4d", "ours_both"} | {
        f"probe_{on}-{of}" for on in ("mmea", "pd") for of in ("ours_ego4d", "ours_both")
    }
    write_runs(plan, tmp_path / "runs", accuracy, leave_out=tuple(run.name for run in planned if run.name not in names))
    runs, _ = report.find_runs([tmp_path / "runs"])
    table = study_table(plan, planned, match(planned, runs)).dropna(subset="value")
    both = table[table["source"] == "ours_both"]
    assert set(both["on"]) == {"Ego4D (simulated) + MMEA (simulated)"}
    assert {role: set(rows["marks"]) for role, rows in both.groupby("role")} == {"MMEA": {"†"}, "PD": {""}}
    alone = table[table["source"] == "ours_ego4d"]
    assert set(alone["marks"]) == {""} and alone.index.max() < both.index.min()
