"""The part of a report on a study: tables and figures in the form of the paper, and its order of methods."""

from pathlib import Path

import pandas as pd

from configs.reporting import ReportConfig
from configs.study import BETWEEN, PlannedRun, Study, load_study, planned_runs
from scripts.reporting.cohorts_page import cohort_blocks
from scripts.reporting.datasets_table import figure_2, table_1
from scripts.reporting.document import MISSING, Block, Heading, Picture, Text
from scripts.reporting.folds_page import fold_blocks
from scripts.reporting.order import order_section
from scripts.reporting.paper_tables import table_3, table_4, table_5
from scripts.reporting.runs import Run
from scripts.reporting.study_results import APPROACHES, MODES, few_shot_columns, match, other_settings, study_table
from scripts.studies.data import unprepared
from scripts.studies.left_out import in_words, left_out, never_held_out, on_those_there
from utils.plots import shots_panels

LINES = {"ours": "cross-modal", "imu_only": "unimodal"} | {
    name: APPROACHES[name] for name in ("supervised", "handcrafted", "random")
}

NO_MINIROCKET = "No run with MiniRocket has results: these need the package aeon, and are left out where it is absent."


def study_blocks(config: ReportConfig, runs: list[Run]) -> tuple[list[Block], list[Run]]:
    """The sections of a study, and the runs that they show and no other table should."""
    as_written = load_study(config.study, config.data_root)
    if as_written.folds_unknown:
        raise ValueError(
            f"{config.study}: its folds are people of a dataset that is not prepared in {config.data_root}: "
            "name the folder of the prepared datasets with --data_root"
        )
    absent = {
        name: f"{name} is not prepared"
        for name in unprepared(as_written, config.data_root)
        if name in as_written.recordings
    }
    study = on_those_there(as_written, absent)
    everything = planned_runs(study, config.data_root, config.runs[0])
    found = match(everything, runs)
    reasons = {n: why for n, why in left_out(everything, config.data_root, absent).items() if n not in found}
    notes = [*never_held_out(study, config.data_root), *in_words(as_written, everything, reasons)]
    missing = [*missing_runs(everything, found, reasons), *(Text(f"{line}.") for line in notes)]
    if study.page == "cohorts":
        blocks, shown = cohort_blocks(study, everything, found, config.out)
        return [*missing, *blocks], shown
    if study.folds:  # the paper holds nobody out in turn: its tables have no place for them
        blocks, shown = fold_blocks(study, everything, found, config.data_root, config.out)
        return [*missing, *blocks], shown
    first = missing + table_1(study, config.data_root)
    first += figure_2(study, config.data_root, config.out)
    planned = [wanted for wanted in everything if not beside_paper(study, wanted)]
    found = {wanted.name: found[wanted.name] for wanted in planned if wanted.name in found}
    read = {wanted.evaluation for wanted in everything if wanted.approach == "read"}
    shown = [found[wanted.name] for wanted in planned if wanted.name in found and wanted.evaluation not in read]
    if not any(wanted.evaluation for wanted in planned):
        return first, shown
    rows = study_table(study, planned, found)
    origins = {run.approach: run.config.video_origin for run in planned if run.command == "train"}
    origins = "; ".join(f"{APPROACHES[name]}: {origin}" for name, origin in origins.items() if origin)
    video_notes = (f"Video encoders of pretraining: {origins}.",) if origins else ()
    blocks = first
    ablations: list[Block] = []
    for number, table in enumerate(
        dict.fromkeys(place["table"] for place in few_shot_columns(study, planned).values())
    ):
        of_table = rows[rows["table"] == table]
        of_table = of_table.assign(column=of_table["mode"].map(MODES) + ", " + of_table["target"])
        members = [found[name] for name in of_table["run"].unique() if name in found]
        names = (f"split by {table}", f"_{number + 1}" if number else "", members, video_notes)
        blocks += table_3(of_table, *names)
        blocks += figure_3(of_table, *names[:2], config.out)
        ablations += table_5(of_table, *names)
    zero_shot = rows[rows["table"] == "zero_shot"]
    if len(zero_shot):
        blocks += table_4(zero_shot, [run for run in found.values() if run.command == "zeroshot"], video_notes)
    return [*blocks, *ablations, *order_section(rows, found)], shown


def beside_paper(study: Study, wanted: PlannedRun) -> bool:
    """Whether the paper's tables have no place for a run: a head that reads features, or labels of another dataset."""
    return wanted.approach == "read" or bool(wanted.evaluation and study.evaluations[wanted.evaluation].transfers)


def missing_runs(planned: list[PlannedRun], found: dict[str, Run], reasons: dict[str, str]) -> list[Block]:
    """Notes on missing runs, but those left out for other reasons, and on runs with other settings."""
    missing = [wanted.name for wanted in planned if wanted.name not in {**found, **reasons}]
    blocks: list[Block] = [Text(f"{len(found)} of the study's {len(planned)} runs have results.")]
    rockets = {wanted.name for wanted in planned if "minirocket" in wanted.values.get("features", ())}
    if rockets - reasons.keys() and not rockets & found.keys():
        missing = [name for name in missing if name not in rockets]
        blocks.append(Text(NO_MINIROCKET))
    if missing:
        blocks.append(Text(f"Without results, shown as missing: {', '.join(missing)}."))
    changed = [f"{wanted.name} ({', '.join(names)})" for wanted in planned if (names := other_settings(wanted, found))]
    if changed:
        blocks.append(Text(f"Run with other settings than the study has: {', '.join(changed)}.", strong=True))
    return blocks


def figure_3(rows: pd.DataFrame, title: str, suffix: str, out: Path) -> list[Block]:
    """A panel for each pretraining and evaluated dataset: cross-modal, unimodal and baselines, both modes; chance."""
    heading = Heading(f"Figure 3: few-shot, {title}")
    lines = figure_3_lines(rows)
    if lines.empty:
        return [heading, Text(f"{MISSING}: no run of these evaluations has results.")]
    png = out / "figures" / f"figure3_few_shot{suffix}.png"
    shots_panels(lines, png, f"Few-shot, {title}; mean and standard deviation over draws")
    caption = (
        "Balanced accuracy against labelled windows per class, as Figure 3 of the paper. Above each panel: pretraining "
        "dataset and evaluated dataset."
    )
    return [heading, Picture(png, caption, png.with_suffix(".pdf"))]


def figure_3_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the study's table with the panel and line that they belong to; a baseline is in all panels.

    Of footnotes, the name of a line has only those that say that it is not comparable.
    """
    rows = rows[rows["approach"].isin(LINES)].dropna(subset="value")
    baseline = rows["pretrained_on"] == ""
    added = [
        label.removeprefix(APPROACHES[approach])
        for label, approach in zip(rows["label"], rows["approach"], strict=True)
    ]
    name = rows["approach"].map(LINES) + pd.Series(added, index=rows.index, dtype=str)
    sign = rows.groupby(["evaluation", "source"])["marks"].transform("first").str.replace("†", "")
    line = name + (", " + rows["mode"].map(MODES)).where(~baseline, "") + sign
    rows = rows.assign(approach=name, line=line, dashed=(rows["mode"] == "finetune") & ~baseline)
    first_mode = rows.groupby(["role", "source"])["mode"].transform("first")  # a baseline of both modes is drawn once
    rows = rows[~baseline | (rows["mode"] == first_mode)]
    panels = []
    for (pretrained_on, role), encoders in rows[rows["pretrained_on"] != ""].groupby(
        ["pretrained_on", "role"], sort=False
    ):
        baselines = rows[(rows["pretrained_on"] == "") & (rows["role"] == role)]
        panel = f"{encoders['on'].iloc[0]} → {encoders['target'].iloc[0]}"
        panel += ", in-distribution" if role in pretrained_on.split(BETWEEN) else ""
        panels.append(
            pd.concat(
                [
                    encoders.sort_values(
                        "approach", key=lambda names: ~names.str.startswith(LINES["ours"]), kind="stable"
                    ),
                    baselines,
                ]
            ).assign(panel=panel)
        )
    return pd.concat(panels) if panels else rows
