"""Figure 3 of the paper from the runs of a study: balanced accuracy against labels."""

from pathlib import Path

from scripts.reporting.document import MISSING, Block, Heading, Picture, Text
from scripts.reporting.few_shot_tables import pretraining_label, suffix
from scripts.reporting.runs import shots_line
from scripts.reporting.study_results import APPROACHES, MODES, Protocol, Result, StudyResults
from utils.plots import Line, Panel, shots_panels
from utils.tables import marked

LINES = {"ours": "cross-modal", "imu_only": "unimodal"}
BASELINES = ("supervised", "handmade", "random")


def figure_3(found: StudyResults, protocol: Protocol, number: int, out: Path) -> list[Block]:
    """A panel for each pretraining and evaluated dataset: cross-modal, unimodal and baselines, both modes; chance."""
    title = f"Figure 3: few-shot, split by {protocol.split}" + (f" ({number + 1})" if number else "")
    panels = [
        panel
        for pretrained_on in found.study.datasets
        for role in protocol.roles
        if (panel := _panel(found, protocol, pretrained_on, role))
    ]
    if not panels:
        return [Heading(title), Text(f"{MISSING}: no run of these evaluations has results.")]
    png = out / "figures" / f"figure3_few_shot{suffix(number)}.png"
    shots_panels(panels, png, f"Few-shot, split by {protocol.split}; mean and standard deviation over draws")
    caption = (
        "Balanced accuracy against labelled windows per class, as Figure 3 of the paper. Above each panel: pretraining "
        "dataset and evaluated dataset."
    )
    return [Heading(title), Picture(png, caption, png.with_suffix(".pdf"))]


def _panel(found: StudyResults, protocol: Protocol, pretrained_on: str, role: str) -> Panel | None:
    """None where no encoder of this pretraining dataset has been measured."""
    lines, chance, name = [], 0.0, ""
    for approach, method in LINES.items():
        alike = [n for n, p in found.study.pretraining.items() if (p.dataset, p.approach) == (pretrained_on, approach)]
        for mode in MODES:
            for pretraining in alike:
                result = found.get(protocol.evaluations.get((mode, role)), pretraining)
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
            result = found.get(protocol.evaluations.get((mode, role)), baseline)
            if result and result.run:
                lines.append(_line(found, result, APPROACHES[baseline], baseline, dashed=False))
                break
    return Panel(name, lines, chance)


def _line(found: StudyResults, result: Result, name: str, method: str, dashed: bool) -> Line:
    """Signs of footnotes stand in a line's name only where they say that it is not to be compared."""
    shots = min(map(int, result.run.results["shots"]))
    marks = result.marks(found.usual_windows(result.cell.evaluation, shots), shots).replace("†", "")
    return Line(name + marks, method, shots_line(result.run), dashed)
