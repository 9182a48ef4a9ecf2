"""The part of a report on a study with folds: each person held out in turn, and what all of them give together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import IMU_RATE_HZ
from configs.folds import FOLD
from configs.study import PlannedRun, Study
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from scripts.reporting.dataset_figures import paired_windows, read_window
from scripts.reporting.document import MISSING, Block, Heading, Picture, Table, Text, plural
from scripts.reporting.folds_tests import fold_test_blocks
from scripts.reporting.result_tables import RETRIEVAL, WAYS, seen_by
from scripts.reporting.runs import Run, notes, percent
from scripts.reporting.study_results import APPROACHES, measured_of
from utils import tables
from utils.long_table import METRICS, method
from utils.plots import confusion_matrix, points_by_group, save_figure

ACCURACY = "balanced_accuracy"
COLUMNS = {ACCURACY: METRICS[ACCURACY]} | {
    f"{way}/{rank}": f"{words}, {RETRIEVAL[rank]}" for way, words in WAYS.items() for rank in ("r@1", "r@5")
}
EXAMPLES = 4  # right and wrong ones each, two in a picture


def fold_blocks(
    study: Study, planned: Sequence[PlannedRun], found: dict[str, Run], data_root: Path, out: Path
) -> tuple[list[Block], list[Run]]:
    """The sections, and the runs that they show: evaluations of a fold."""
    members = [p for p in planned if p.evaluation and study.evaluations[p.evaluation].fold and p.name in found]
    runs = [found[p.name] for p in members]
    heading = Heading("Each person held out in turn")
    if not runs:
        return [heading, Text(f"{MISSING}: no evaluation of a fold has results.")], []
    rows = fold_rows(study, members, found)
    text = (
        f"People: {', '.join(study.folds)}. Each is measured with encoders whose pretraining left that person out; a "
        "line below says where one did not. Of the values of all people a cell has mean ± standard deviation and, in "
        "brackets, the least and the best. R@1 and R@5: how often a window's own pair is the first, or among the first "
        "five, of all pairs of that person. With the z-score of the dataset, its mean and standard deviation are of "
        "everybody's recordings, without labels."
    )
    caption = "Each person held out in turn: mean ± standard deviation over {} people (least to best), %"
    blocks = [heading, Text(text), over_folds(rows, len(study.folds), "folds", caption, notes(runs))]
    blocks += [*without_chosen(study, rows, caption), *seen_by(runs)]
    zero_shot = [p for p in members if p.command == "zeroshot"]
    if not zero_shot:
        return blocks, runs
    blocks += by_fold(rows[rows["evaluation"] == _template(study, zero_shot[0])], out)
    shown = [found[p.name] for p in zero_shot if _same(study, p, zero_shot[0])]
    label = rows[rows["run"] == zero_shot[0].name]["label"].iloc[0]
    blocks += fold_test_blocks(rows[rows["metric"] == ACCURACY], label, len(study.folds))
    return [*blocks, together(shown, label, out), *examples(shown[0], label, data_root, out)], runs


def fold_rows(study: Study, members: Sequence[PlannedRun], found: dict[str, Run]) -> pd.DataFrame:
    """A row for each fold, encoder or baseline, and value, in the study's order.

    Columns:
        run, fold, evaluation: name of the run, its fold, and its evaluation as the study names it for all folds.
        label: encoder or baseline in words.
        column: what is measured, in words.
        metric, shots, value, std, chance, method, folder: of the long table.
    """
    sources = {p.name: _encoder(study, p) for p in members}
    several = pd.DataFrame([(p.approach, sources[p.name]) for p in members]).drop_duplicates()[0].value_counts()
    facts = [
        {
            "run": p.name,
            "fold": study.evaluations[p.evaluation].fold,
            "evaluation": _template(study, p),
            "label": method(found[p.name].results) + (f" ({_words(sources[p.name])})" if p.needs else "")
            if p.approach == "read"
            else APPROACHES[p.approach] + (f" ({_words(sources[p.name])})" if several[p.approach] > 1 else ""),
        }
        for p in members
    ]
    values = measured_of({p.name: found[p.name] for p in members}, list(COLUMNS))
    rows = pd.DataFrame(facts).merge(values.drop(columns=["command", "dataset", "draw"]), on="run")
    rows["column"] = [
        f"{_words(row.evaluation)}: {COLUMNS[row.metric] if pd.isna(row.shots) else plural(row.shots, 'label')}"
        for row in rows.itertuples()
    ]
    return rows


def _encoder(study: Study, wanted: PlannedRun) -> str:
    """The encoder or baseline that is evaluated, named alike in all folds."""
    if not wanted.pretrained_on:
        return wanted.approach
    return study.pretraining[wanted.needs[0]].template or wanted.needs[0]


def _template(study: Study, wanted: PlannedRun) -> str:
    return study.evaluations[wanted.evaluation].template


def _same(study: Study, a: PlannedRun, b: PlannedRun) -> bool:
    """Whether two runs are the same encoder and evaluation, in whatever folds."""
    return (_encoder(study, a), _template(study, a)) == (_encoder(study, b), _template(study, b))


def _words(template: str) -> str:
    return template.replace(FOLD, "").strip("_").replace("_", " ")


def without_chosen(study: Study, rows: pd.DataFrame, caption: str) -> list[Block]:
    """The same table without the people whose labels chose settings; nothing if the study names nobody."""
    chosen = [fold for fold in study.folds if fold in {name for _, name in study.chosen_people}]
    others = rows[~rows["fold"].isin(chosen)]
    if not chosen or others.empty:
        return []
    text = f"Labels of {', '.join(chosen)} chose settings; the values once more without them."
    return [Text(text), over_folds(others, len(study.folds) - len(chosen), "folds_without", caption, ())]


def over_folds(rows: pd.DataFrame, folds: int, name: str, caption: str, footnotes: tuple[str, ...]) -> Table:
    """A row for each encoder and baseline, a column for each value, chance below.

    Args:
        caption: with ``{}`` for the number of people.
    """
    guesses = rows.assign(label="chance", value=rows["chance"]).drop_duplicates(["column", "fold"])
    both = pd.concat([rows, guesses], ignore_index=True)
    values = both.groupby(["label", "column"], sort=False)["value"]
    over = values.agg(mean="mean", std="std", low="min", high="max", known="count").reset_index()

    def cell(row) -> str:
        if row.approach == "chance":
            return tables.percent(row.mean)
        known = f"; {row.known} of {folds}" if row.known < folds else ""
        return f"{tables.percent(row.mean, row.std)} ({tables.interval(row)}){known}"

    frame = tables.pivot(over.rename(columns={"label": "approach"}), ["approach"], ["column"], cell=cell)
    return Table(frame, name, caption.format(folds), footnotes)


def by_fold(rows: pd.DataFrame, out: Path) -> list[Block]:
    """Zero-shot accuracy of each fold as a table, linked to its runs, and as a figure."""
    rows = rows[rows["metric"] == ACCURACY]
    caption = f"{_words(rows['evaluation'].iloc[0]).capitalize()}: {METRICS[ACCURACY]} of each person"
    frame = tables.pivot(rows.rename(columns={"label": "approach"}), ["approach"], ["fold"], cell=percent)
    png = out / "figures" / "folds.png"
    points_by_group(rows.rename(columns={"fold": "group", "label": "line"}), png, caption)
    note = "Mean ± standard deviation over random parts of the held-out windows."
    return [Table(frame, "folds_zero_shot", f"{caption}, %", (note,)), Picture(png, caption, png.with_suffix(".pdf"))]


def together(runs: Sequence[Run], label: str, out: Path) -> Block:
    """The confusion matrix of all folds of one encoder."""
    png = out / "figures" / "folds_confusion.png"
    counts = np.sum([run.results["confusion"] for run in runs], axis=0)
    caption = f"Confusion matrix, zero-shot, {label}, all folds together: {plural(int(counts.sum()), 'window')}"
    confusion_matrix(counts, runs[0].results["classes"], png, caption)
    return Picture(png, caption)


def examples(run: Run, label: str, data_root: Path, out: Path) -> list[Block]:
    """Windows of the first fold that are predicted right and wrong, drawn at random: frames over signals."""
    blocks: list[Block] = [Heading("Examples", 3)]
    try:
        predictions = pd.read_csv(run.folder / "predictions.csv", dtype=str, keep_default_na=False)
        settings = run.results["config"]
        store = open_store(data_root, settings["dataset"])
        listed = list_windows(store, window_s=run.results["window_s"], min_coverage=settings["min_coverage"])
        right = predictions["truth"] == predictions["predicted"]
        for name, rows in (("right", predictions[right]), ("wrong", predictions[~right])):
            if rows.empty:
                blocks.append(Text(f"No window is predicted {name}."))
                continue
            drawn = np.random.default_rng(0).permutation(len(rows))[:EXAMPLES]
            windows = named_windows(listed, rows["window"].iloc[drawn])
            titles = [f"true {row.truth}, predicted {row.predicted}" for row in rows.iloc[drawn].itertuples()]
            for first in range(0, len(drawn), 2):
                pair = range(first, min(first + 2, len(drawn)))
                figure = paired_windows([read_window(windows, k, titles[k]) for k in pair], IMU_RATE_HZ)
                png = out / "figures" / f"folds_{name}_{first // 2 + 1}.png"
                save_figure(figure, png, "", pdf=True)
                of = f"{len(rows)} of {plural(len(predictions), 'window')}"
                caption = f"Predicted {name} ({of}), {label}, zero-shot, {run.folder.name}: drawn at random"
                blocks.append(Picture(png, caption, png.with_suffix(".pdf")))
    except (OSError, ValueError) as error:
        return [*blocks, Text(f"{MISSING}: {error}")]
    return blocks


def named_windows(windows: Windows, names: Sequence[str]) -> Windows:
    """Windows of these names (``Windows.ids``), wherever in its recording each begins.

    Raises:
        ValueError: if the dataset has no such recording.
    """
    recordings, times = zip(*(name.rsplit("@", 1) for name in names), strict=True)
    ids = windows.store.recordings["id"].tolist()
    if absent := sorted(set(recordings) - set(ids)):
        raise ValueError(f"{windows.store.root} has no recording {', '.join(absent)}")
    start = [round(float(time.split("+")[0]) * IMU_RATE_HZ) for time in times]
    places = np.array([ids.index(name) for name in recordings])
    return replace(windows.subset(np.zeros(len(start), dtype=int)), recording=places, start=np.array(start))
