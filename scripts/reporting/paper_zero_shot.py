"""Table 4 of the paper from the runs of a study, with the paper's numbers beside them."""

from configs.paper import paper_results
from scripts.reporting.document import Block, Cell, Heading, Table, Text
from scripts.reporting.paper_few_shot import IN_TABLE_5, MISSING_CELL, NONE, label_of, pretraining_label, simulated
from scripts.reporting.result_tables import zero_shot_intervals
from scripts.reporting.runs import Run, fraction_cell, percent_cell
from scripts.reporting.study_results import Result, StudyResults, used_marks
from utils.tables import METRICS, fraction, marked, paper_column, percent

SHORT_METRICS = METRICS | {"balanced_accuracy": "B. Acc., %", "macro_f1": "F1"}


def table_4(found: StudyResults) -> list[Block]:
    """Zero-shot results: a block of rows per pretraining and evaluated dataset, a column per metric."""
    results = [r for r in found.results if r.planned.command == "zeroshot"]
    if not results:
        return []
    order = list(found.study.datasets)
    pairs = sorted(
        {(r.planned.pretrained_on, r.planned.evaluation) for r in results},
        key=lambda pair: (order.index(pair[0]), list(found.study.evaluations).index(pair[1])),
    )
    rows: list[list[Cell | str]] = []
    ended_rows: list[tuple[list[Cell | str], Run]] = []
    for pretrained_on, evaluation in pairs:
        members = [r for r in found.of(evaluation) if r.planned.pretrained_on == pretrained_on]
        members.sort(key=lambda r: (IN_TABLE_5.index(r.planned.approach), r.pretraining))
        role = members[0].planned.dataset_role
        ended = found.ended([evaluation])
        pair = f"{pretraining_label(found, members[0].pretraining)} → {marked(role, simulated(ended))}"
        reverse = members[0].settings["direction"] == "video_to_imu"  # not in the paper
        pair += ", video to IMU" if reverse else ""
        for result in members:
            alike = [r.pretraining for r in members if r.planned.approach == result.planned.approach]
            row: list[Cell | str] = [pair, label_of(result.planned.approach, result.pretraining, alike)]
            for metric in METRICS:
                value = paper_results().zero_shot.get((pretrained_on, result.planned.approach, role, metric))
                theirs = _metric_cell(metric, None if reverse else value, digits=3)
                row += [zero_shot_cell(found, result, metric), theirs]
            rows.append(row)
            ended_rows += [(row[:2], result.run)] if result.run else []
        for name in ("chance", "majority"):
            cells = [_guess_cell(ended[0].results[name], metric) if ended else MISSING_CELL for metric in METRICS]
            rows.append([pair, name, *(cell for here in cells for cell in (here, Cell(NONE)))])
    spans = (("", 2), *((SHORT_METRICS[metric], 2) for metric in METRICS))
    table = Table(
        name="table4_zero_shot",
        caption="Zero-shot results in the form of Table 4",
        header=("pretraining → evaluation", "approach", *("here", "paper") * len(METRICS)),
        rows=rows,
        labels=2,
        spans=spans,
        notes=(*_zero_shot_notes(found), *found.video_notes, *used_marks([cell for row in rows for cell in row])),
    )
    text = (
        "Each IMU window takes the class of the nearest labelled video (video to IMU: each video that of the nearest "
        "labelled IMU window); no recording that gave a prototype gives a query."
    )
    return [Heading("Table 4: zero-shot"), Text(text), table, *zero_shot_intervals("table4_intervals", ended_rows)]


def zero_shot_cell(found: StudyResults, result: Result, metric: str) -> Cell:
    """One metric of a run: balanced accuracy in percent, the rest as fractions, as the paper prints them."""
    if result.run is None:
        return MISSING_CELL
    make = percent_cell if metric == "balanced_accuracy" else fraction_cell
    marks = result.marks(found.usual_windows(result.planned.evaluation))
    return make(result.run.results["metrics"][metric], result.run, marks)


def _metric_cell(metric: str, value: tuple[float, float | None] | None, digits: int = 1) -> Cell:
    if value is None:
        return Cell(NONE)
    return Cell(percent(*value, digits) if metric == "balanced_accuracy" else fraction(*value), *value)


def _guess_cell(values: dict[str, float], metric: str) -> Cell:
    return _metric_cell(metric, (values[metric], None) if metric in values else None)


def _zero_shot_notes(found: StudyResults) -> tuple[str, ...]:
    notes = []
    for name, evaluation in found.study.evaluations.items():
        if evaluation.kind == "zero_shot":
            for run in found.ended([name])[:1]:
                r = run.results
                source = marked(r["prototypes_from"]["name"], r["prototypes_from"]["simulated"])
                repetitions, drawn = len(r["metrics"]["mrr"]["values"]), r["config"]["bootstrap_share"]
                notes.append(
                    f"{evaluation.dataset} is {run.dataset}: {len(r['classes'])} classes, "
                    f"{sum(r['queries_per_class'])} queries, {r['prototypes_per_class']} prototypes per "
                    f"class from {source}; mean ± standard deviation over {repetitions} random "
                    f"{100 * drawn:g} % of each class."
                )
                notes += paper_column(r)
    return tuple(notes)
