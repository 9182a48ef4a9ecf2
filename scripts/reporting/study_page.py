"""The part of a report that follows the paper: its tables and figures from a study's runs, and its order of methods."""

from pathlib import Path

from configs.reporting import ReportConfig
from configs.study import load_study, planned_runs
from scripts.reporting.datasets_table import figure_2, table_1
from scripts.reporting.document import MISSING, Block, Heading, Picture, Text
from scripts.reporting.order import order_section
from scripts.reporting.paper_few_shot import pretraining_label, suffix, table_3, table_5
from scripts.reporting.paper_zero_shot import table_4
from scripts.reporting.runs import Run, shots_line
from scripts.reporting.study_results import (
    APPROACHES,
    MODES,
    FewShotColumns,
    Result,
    StudyResults,
    few_shot_columns,
    match,
)
from utils.plots import Line, Panel, shots_panels
from utils.tables import marked

LINES = {"ours": "cross-modal", "imu_only": "unimodal"}
BASELINES = ("supervised", "handcrafted", "random")


def study_blocks(config: ReportConfig, runs: list[Run]) -> tuple[list[Block], list[Run]]:
    """The sections of a study, and the runs that they show."""
    study = load_study(config.study)
    found = match(study, planned_runs(study, config.data_root, config.runs[0]), runs)
    blocks: list[Block] = [*missing_runs(found)]
    blocks += table_1(study, config.data_root)
    blocks += figure_2(study, config.data_root, config.out)
    for number, few_shot in enumerate(few_shot_columns(found)):
        blocks += table_3(found, few_shot, number)
        blocks += figure_3(found, few_shot, number, config.out)
    blocks += table_4(found)
    for number, few_shot in enumerate(few_shot_columns(found)):
        blocks += table_5(found, few_shot, number)
    blocks += order_section(found)
    return blocks, [result.run for result in found.results if result.run]


def missing_runs(found: StudyResults) -> list[Block]:
    """How much of the study there is."""
    missing = [result.planned.name for result in found.results if result.run is None]
    done = len(found.results) - len(missing)
    blocks: list[Block] = [Text(f"{done} of the study's {len(found.results)} runs have results.")]
    if missing:
        blocks.append(Text(f"Without results, shown as missing: {', '.join(missing)}."))
    changed = [f"{r.planned.name} ({', '.join(r.other_settings)})" for r in found.results if r.other_settings]
    if changed:
        blocks.append(Text(f"Run with other settings than the study asks for: {', '.join(changed)}.", strong=True))
    return blocks


def figure_3(found: StudyResults, few_shot: FewShotColumns, number: int, out: Path) -> list[Block]:
    """A panel for each pretraining and evaluated dataset: cross-modal, unimodal and baselines, both modes; chance."""
    title = f"Figure 3: few-shot, split by {few_shot.split}" + (f" ({number + 1})" if number else "")
    panels = [
        panel
        for pretrained_on in found.study.datasets
        for role in few_shot.roles
        if (panel := _panel(found, few_shot, pretrained_on, role))
    ]
    if not panels:
        return [Heading(title), Text(f"{MISSING}: no run of these evaluations has results.")]
    png = out / "figures" / f"figure3_few_shot{suffix(number)}.png"
    shots_panels(panels, png, f"Few-shot, split by {few_shot.split}; mean and standard deviation over draws")
    caption = (
        "Balanced accuracy against labelled windows per class, as Figure 3 of the paper. Above each panel: pretraining "
        "dataset and evaluated dataset."
    )
    return [Heading(title), Picture(png, caption, png.with_suffix(".pdf"))]


def _panel(found: StudyResults, few_shot: FewShotColumns, pretrained_on: str, role: str) -> Panel | None:
    """None where no encoder of this pretraining dataset has been measured."""
    lines, chance, name = [], 0.0, ""
    for approach, method in LINES.items():
        alike = [n for n, p in found.study.pretraining.items() if (p.dataset, p.approach) == (pretrained_on, approach)]
        for mode in MODES:
            for pretraining in alike:
                result = found.get(few_shot.evaluations.get((mode, role)), pretraining)
                if result and result.run:
                    own = method + (f" ({pretraining})" if len(alike) > 1 else "")
                    lines.append(_line(found, result, f"{own}, {MODES[mode]}", own, dashed=mode == "finetune"))
                    chance = result.run.results["chance"]["balanced_accuracy"]
                    name = f"{pretraining_label(found, pretraining)} → "
                    name += marked(role, result.run.results["simulated"])
                    name += ", in-distribution" if pretrained_on == role else ""
    if not lines:
        return None
    for baseline in BASELINES:
        for mode in MODES:
            result = found.get(few_shot.evaluations.get((mode, role)), baseline)
            if result and result.run:
                lines.append(_line(found, result, APPROACHES[baseline], baseline, dashed=False))
                break
    return Panel(name, lines, chance)


def _line(found: StudyResults, result: Result, name: str, method: str, dashed: bool) -> Line:
    """Signs of footnotes stand in a line's name only where they say that it is not to be compared."""
    shots = min(map(int, result.run.results["shots"]))
    marks = result.marks(found.usual_windows(result.planned.evaluation, shots), shots).replace("†", "")
    return Line(name + marks, method, shots_line(result.run), dashed)
