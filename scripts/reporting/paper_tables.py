"""Tables 3, 4 and 5 of the paper from the runs of a study, with the paper's numbers beside them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from configs.paper import MOST_LABELS, paper_results
from scripts.reporting.document import MISSING, Block, Heading, Table, Text
from scripts.reporting.result_tables import OVER_GROUPS, ZERO_SHOT, zero_shot_intervals
from scripts.reporting.runs import Run, interval, linked, notes
from scripts.reporting.study_results import MODES, used_marks
from utils import tables
from utils.long_table import CALIBRATED, GUESSES, METRICS, named
from utils.tables import pivot, with_guesses

IN_TABLE_3 = ("imu_only", "imu2clip", "ours", "supervised", "handcrafted", "random")
IN_TABLE_5 = ("imu2clip", "softmax", "conv_gru", "clip", "ours")
SHORT_METRICS = METRICS | {"balanced_accuracy": "B. Acc., %", "macro_f1": "F1"}
NONE = "–"  # no such value exists


def here(row: Any) -> str:
    """The measured value with its footnotes; a dash if the study does not plan it."""
    if pd.isna(row.value):
        return MISSING if row.asked and row.method not in GUESSES else NONE
    write = tables.percent if row.metric == "balanced_accuracy" else tables.fraction
    return linked(write(row.value, row.std) + row.marks, row)


def paper(row: Any) -> str:
    """The paper's value with the digits that it has there."""
    if row.paper is None or row.method in GUESSES:
        return NONE
    if row.metric != "balanced_accuracy":
        return tables.fraction(*row.paper)
    return tables.percent(*row.paper, digits=3 if row.table == "zero_shot" else 2)


def _guesses_below(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a study's table, and below them chance and majority."""
    rows = with_guesses(rows.assign(method="", labels=rows["shots"].astype(str)))
    guess = rows["method"] != ""
    rows.loc[guess, ["on", "labels", "marks"]] = ""
    return rows.assign(label=rows["label"].where(~guess, rows["method"]))


def _beside_paper(rows: pd.DataFrame, labels: dict[str, str], column: str, theirs: str = "paper") -> pd.DataFrame:
    """Measured values and those of the paper side by side; the latter only in columns that the paper has."""
    frame = pivot(rows, list(labels), [column], empty=NONE, **{"here": here, theirs: paper})
    absent = [name for name in frame.columns if name[1] == theirs and (frame[name] == NONE).all()]
    return frame.drop(columns=absent).rename(columns=labels)


def table_3(
    rows: pd.DataFrame, title: str, suffix: str, runs: Sequence[Run], video_notes: Sequence[str]
) -> list[Block]:
    """Few-shot results: rows of pretraining dataset, approach and shots; columns of mode and evaluated dataset."""
    rows = rows[rows["approach"].isin(IN_TABLE_3)]
    labels = {"on": "pretraining", "label": "approach", "labels": "labels per class"}
    shown = _guesses_below(rows)
    below = (*protocol_notes(rows, runs), *notes(runs), *video_notes, *used_marks(rows))
    caption = "Few-shot results in the form of Table 3: balanced accuracy, %"
    blocks: list[Block] = [
        Heading(f"Table 3: few-shot, {title}"),
        Table(_beside_paper(shown, labels, "column"), f"table3_few_shot{suffix}", caption, below),
    ]
    if rows["low"].notna().any():
        ends = [
            scores["interval"]["balanced_accuracy"]["note"] for run in runs for scores in run.results["shots"].values()
        ]
        caption = f"95 % bootstrap intervals {OVER_GROUPS} of the few-shot results: balanced accuracy, %"
        frame = pivot(shown[shown["method"] == ""], list(labels), ["column"], cell=interval).rename(columns=labels)
        blocks.append(Table(frame, f"table3_intervals{suffix}", caption, tuple(dict.fromkeys(filter(None, ends)))))
    return blocks


def protocol_notes(rows: pd.DataFrame, runs: Sequence[Run]) -> tuple[str, ...]:
    """For each evaluated dataset, what its values are averaged over."""
    lines = []
    for _, members in rows.groupby("evaluation", sort=False):
        here = [run for run in runs if run.folder.name in set(members["run"])]
        for run in sorted(here, key=lambda run: run.command != "downstream")[:1]:  # the protocol is the same for all
            r, first = run.results, members.iloc[0]
            draws = len(next(iter(r["shots"].values()))["balanced_accuracy"]["values"])
            embeddings = " on standardised embeddings" if r["config"].get("standardize") else ""
            embeddings += CALIBRATED if r["calibrate"] == "person" else ""
            lines.append(
                f"{first['role']} is {run.dataset}: {len(r['classes'])} classes; {MODES[first['mode']]}{embeddings}; "
                f"mean ± standard deviation over {draws} draws; held out: {r['held_out']}; split by {r['groups']}."
            )
    return tuple(lines)


def table_4(rows: pd.DataFrame, runs: Sequence[Run], video_notes: Sequence[str]) -> list[Block]:
    """Zero-shot results: a block of rows per pretraining and evaluated dataset, a column per metric."""
    way = rows["mode"].map({"imu_to_video": "", "video_to_imu": ", video to IMU"})  # the paper went one way only
    rows = rows.assign(pair=rows["on"] + " → " + rows["target"] + way, metric_name=rows["metric"].map(SHORT_METRICS))
    shown = pd.concat([_guesses_below(pair) for _, pair in rows.groupby(["pretrained_on", "evaluation"], sort=False)])
    labels = {"pair": "pretraining → evaluation", "label": "approach"}
    below = []
    for _, members in rows.groupby("evaluation", sort=False):
        for run in [run for run in runs if run.folder.name in set(members["run"])][:1]:
            r = run.results
            below.append(
                f"{members['role'].iloc[0]} is {run.dataset}: {len(r['classes'])} classes, "
                f"{sum(r['queries_per_class'])} queries, {r['prototypes_per_class']} prototypes per class from "
                f"{named(r['prototypes_from'])}; mean ± standard deviation "
                f"over {len(r['metrics']['mrr']['values'])} random {100 * r['config']['bootstrap_share']:g} % of each "
                "class."
            )
    frame = _beside_paper(shown, labels, "metric_name")
    caption = "Zero-shot results in the form of Table 4"
    blocks = [Heading("Table 4: zero-shot"), Text(ZERO_SHOT)]
    blocks.append(Table(frame, "table4_zero_shot", caption, (*below, *notes(runs), *video_notes, *used_marks(rows))))
    ended = rows.dropna(subset="value").replace({"metric": METRICS})
    if len(ended):
        ended = ended.assign(evaluation=ended["pair"], method=ended["label"])
        blocks.append(zero_shot_intervals("table4_intervals", ended, ["evaluation", "method"], runs))
    return blocks


def table_5(
    rows: pd.DataFrame, title: str, suffix: str, runs: Sequence[Run], video_notes: Sequence[str]
) -> list[Block]:
    """Ablations at the most shots, all pretrained on one dataset; nothing if the study has none."""
    ablations = rows[rows["approach"].isin(IN_TABLE_5) & ~rows["approach"].isin(IN_TABLE_3)]
    if ablations.empty:
        return []
    base = ablations["pretrained_on"].iloc[0]
    encoders = rows[rows["asked"] & (rows["pretrained_on"] != "")]
    most = encoders.groupby("evaluation", sort=False)["shots"].max()
    rows = rows[rows["approach"].isin(IN_TABLE_5) & (rows["pretrained_on"] == base)]
    rows = rows[rows["shots"] == rows["evaluation"].map(most)]
    keys = zip(rows["approach"], rows["mode"], rows["role"], strict=True)
    rows = rows.assign(paper=[paper_results().ablations.get(key) if base == "Ego4D" else None for key in keys])
    labels = dict.fromkeys(f"{row.shots} ({MODES[row.mode]})" for row in rows.itertuples())
    caption = (
        f"Ablations in the form of Table 5: balanced accuracy, %, at the most labels per class: {', '.join(labels)}; "
        f"the paper: {MOST_LABELS}. All pretrained on {rows['on'].iloc[0]}"
    )
    below = (*video_notes, *notes(runs), *used_marks(rows))
    theirs = f"paper, {MOST_LABELS} labels"
    frame = _beside_paper(_guesses_below(rows), {"label": "approach"}, "column", theirs)
    return [Heading(f"Table 5: ablations, {title}"), Table(frame, f"table5_ablations{suffix}", caption, below)]
