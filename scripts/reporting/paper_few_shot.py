"""Tables 3 and 5 of the paper from the runs of a study, with the paper's numbers beside them."""

from configs.paper import MOST_LABELS, Value, paper_results
from scripts.reporting.document import MISSING, Block, Cell, Heading, Table
from scripts.reporting.runs import Run, held_out, interval_cell, percent_cell, warnings, window_notes
from scripts.reporting.study_results import APPROACHES, MODES, FewShotColumns, Result, StudyResults, used_marks
from utils.tables import marked, paper_column, percent

IN_TABLE_3 = ("imu_only", "imu2clip", "ours")
IN_TABLE_5 = ("imu2clip", "softmax", "conv_gru", "clip", "ours")
NONE = "–"  # there is no such number
MISSING_CELL = Cell(MISSING)


def table_3(found: StudyResults, few_shot: FewShotColumns, number: int) -> list[Block]:
    """Few-shot results: rows of pretraining dataset, approach and shots; columns of mode and evaluated dataset."""
    rows: list[list[Cell | str]] = []
    columns = ordered(few_shot)
    for name, label, approach in table_3_rows(found, few_shot):
        on = pretraining_label(found, name)
        for shots in few_shot.shots:
            row: list[Cell | str] = [on, label, str(shots)]
            for mode, role in columns:
                result = found.get(few_shot.evaluations[mode, role], name)
                row.append(few_shot_cell(found, few_shot.evaluations[mode, role], result, shots))
                if role in paper_results().datasets:
                    pretrained_on = result.planned.pretrained_on if result else None
                    row.append(paper_cell(paper_results().few_shot.get((pretrained_on, approach, mode, role, shots))))
            rows.append(row)
    rows += chance_rows(found, few_shot, ["", "{}", ""])
    title = f"Table 3: few-shot, split by {few_shot.split}"
    header, spans = column_headers(found, few_shot, columns, "paper")
    marks = used_marks([cell for row in rows for cell in row])
    table = Table(
        name=f"table3_few_shot{suffix(number)}",
        caption="Few-shot results in the form of Table 3: balanced accuracy, %",
        header=("pretraining", "approach", "labels per class", *header),
        rows=rows,
        labels=3,
        spans=(("", 3), *spans),
        notes=(*protocol_notes(found, few_shot), *found.video_notes, *marks),
    )
    heading = Heading(title + (f" ({number + 1})" if number else ""))
    return [heading, table, *intervals(found, few_shot, number)]


def intervals(found: StudyResults, few_shot: FewShotColumns, number: int) -> list[Block]:
    """How far the numbers of Table 3 hold for other people: 95 % intervals over groups, where there are enough."""
    columns = ordered(few_shot)
    rows: list[list[Cell | str]] = []
    for name, label, _ in table_3_rows(found, few_shot):
        for shots in few_shot.shots:
            results = [found.get(few_shot.evaluations[column], name) for column in columns]
            runs = [result.run if result else None for result in results]
            cells = [interval_cell(r.results["shots"].get(str(shots)), r) if r else Cell("-") for r in runs]
            rows.append([pretraining_label(found, name), label, str(shots), *cells])
    if all(cell.mean is None for row in rows for cell in row[3:]):
        return []
    measured = [
        row for run in found.ended(list(few_shot.evaluations.values())) for row in run.results["shots"].values()
    ]
    ends = [row["interval"]["balanced_accuracy"] for row in measured]
    table = Table(
        name=f"table3_intervals{suffix(number)}",
        caption="95 % bootstrap intervals over groups (people, or sessions where people are unknown) of the few-shot "
        "results: balanced accuracy, %",
        header=("pretraining", "approach", "labels per class", *(f"{MODES[mode]}, {role}" for mode, role in columns)),
        rows=rows,
        labels=3,
        notes=tuple(dict.fromkeys(end["note"] for end in ends if end["note"])),
    )
    return [table]


def table_3_rows(found: StudyResults, few_shot: FewShotColumns) -> list[tuple[str, str, str]]:
    """Name of the encoder (or baseline), its label, its approach: by pretraining dataset, then in the paper's order."""
    present = {name for evaluation, name in found.by_key if evaluation in few_shot.evaluations.values()}
    runs = found.study.pretraining
    rows = []
    for role in found.study.datasets:
        for approach in IN_TABLE_3:
            alike = [n for n, run in runs.items() if (run.dataset, run.approach) == (role, approach) and n in present]
            rows += [(n, label_of(approach, n, alike), approach) for n in alike]
    return rows + [(b, APPROACHES[b], b) for b in ("supervised", "handcrafted", "random") if b in present]


def label_of(approach: str, name: str, alike: list[str]) -> str:
    """An approach, with the name of its run where several are of this approach and dataset."""
    return APPROACHES[approach] + (f" ({name})" if len(alike) > 1 else "")


def pretraining_label(found: StudyResults, name: str) -> str:
    """Role of the dataset of pretraining, and whether it was simulated; ``none`` for a baseline."""
    if name not in found.study.pretraining:
        return "none"
    runs = [result.run for result in found.results if result.run and name == result.pretraining]
    facts = [run.results["checkpoint"]["dataset"] for run in runs if run.results.get("checkpoint")]
    return marked(found.study.pretraining[name].dataset, bool(facts and facts[0]["simulated"]))


def few_shot_cell(found: StudyResults, evaluation: str, result: Result | None, shots: int) -> Cell:
    """Balanced accuracy at a number of shots in an evaluation's column; a dash where the study has no such cell."""
    if result is None or shots not in result.settings["shots"]:
        return Cell(NONE)
    if result.run is None or str(shots) not in result.run.results["shots"]:
        return MISSING_CELL
    value = result.run.results["shots"][str(shots)]["balanced_accuracy"]
    return percent_cell(value, result.run, result.marks(found.usual_windows(evaluation, shots), shots))


def paper_cell(value: Value | None) -> Cell:
    """The paper's number, with as many digits as it has there; or that it has none."""
    return Cell(NONE) if value is None else Cell(percent(*value, digits=2), *value)


def ordered(few_shot: FewShotColumns) -> list[tuple[str, str]]:
    """Columns: linear probing of each dataset, then finetuning of each."""
    return [(mode, role) for mode in MODES for role in few_shot.roles if (mode, role) in few_shot.evaluations]


def column_headers(
    found: StudyResults, few_shot: FewShotColumns, columns: list[tuple[str, str]], paper: str
) -> tuple[list[str], list[tuple[str, int]]]:
    """For each column ``here`` and, if the paper has this dataset, its own; above them mode and dataset."""
    header, spans = [], []
    for mode, role in columns:
        here = [marked("here", simulated(found.ended([few_shot.evaluations[mode, role]])))]
        here += [paper] if role in paper_results().datasets else []
        header += here
        spans.append((f"{MODES[mode]}, {role}", len(here)))
    return header, spans


def simulated(runs: list[Run]) -> bool:
    """Whether any was measured on simulated recordings (all or none are: a column is one dataset)."""
    return any(run.results["simulated"] for run in runs)


def chance_rows(found: StudyResults, few_shot: FewShotColumns, labels: list[str]) -> list[list[Cell | str]]:
    """What chance gives, and what predicting the most frequent class gives."""
    rows: list[list[Cell | str]] = []
    for name in ("chance", "majority"):
        row: list[Cell | str] = [label.format(name) for label in labels]
        for mode, role in ordered(few_shot):
            runs = found.ended([few_shot.evaluations[mode, role]])
            value = runs[0].results[name]["balanced_accuracy"] if runs else None
            row.append(Cell(percent(value), value) if runs else MISSING_CELL)
            row += [Cell(NONE)] if role in paper_results().datasets else []
        rows.append(row)
    return rows


def protocol_notes(found: StudyResults, few_shot: FewShotColumns) -> tuple[str, ...]:
    """What the numbers are means over, for each evaluated dataset."""
    notes = []
    for mode, role in ordered(few_shot):
        runs = found.ended([few_shot.evaluations[mode, role]])
        for run in sorted(runs, key=lambda run: run.command != "downstream")[:1]:  # the protocol is the same for all
            r = run.results
            draws = len(next(iter(r["shots"].values()))["balanced_accuracy"]["values"])
            embeddings = " on standardised embeddings" if r["config"].get("standardize") else ""
            notes.append(
                f"{role} is {run.dataset}: {len(r['classes'])} classes; {MODES[mode]}{embeddings}; mean ± standard "
                f"deviation over {draws} draws; held out: {held_out(r)}; split by {r['groups']}."
            )
            notes += [*paper_column(r), *window_notes([run]), *warnings(run)]
    return tuple(dict.fromkeys(notes))


def table_5(found: StudyResults, few_shot: FewShotColumns, number: int) -> list[Block]:
    """Ablations at the most shots, all pretrained on one dataset; nothing if the study has none."""
    ablations = [run for run in found.study.pretraining.values() if run.approach not in IN_TABLE_3]
    if not ablations:
        return []
    base, columns = ablations[0].dataset, ordered(few_shot)
    most = {column: few_shot.most_shots(found, column) for column in columns}
    rows: list[list[Cell | str]] = []
    for approach in IN_TABLE_5:
        alike = [n for n, run in found.study.pretraining.items() if (run.dataset, run.approach) == (base, approach)]
        for name in alike:
            row: list[Cell | str] = [label_of(approach, name, alike)]
            for mode, role in columns:
                evaluation = few_shot.evaluations[mode, role]
                row.append(few_shot_cell(found, evaluation, found.get(evaluation, name), most[mode, role]))
                if role in paper_results().datasets:
                    value = paper_results().ablations.get((approach, mode, role)) if base == "Ego4D" else None
                    row.append(paper_cell(value))
            rows.append(row)
    rows += chance_rows(found, few_shot, ["{}"])
    header, spans = column_headers(found, few_shot, columns, f"paper, {MOST_LABELS} labels")
    on = pretraining_label(found, next(n for n, run in found.study.pretraining.items() if run.dataset == base))
    labels = dict.fromkeys(f"{n} ({MODES[mode]})" for (mode, _), n in most.items())
    table = Table(
        name=f"table5_ablations{suffix(number)}",
        caption=f"Ablations in the form of Table 5: balanced accuracy, %, at the most labels per class: "
        f"{', '.join(labels)}; the paper: {MOST_LABELS}. All pretrained on {on}",
        header=("approach", *header),
        rows=rows,
        spans=(("", 1), *spans),
        notes=(
            *found.video_notes,
            *window_notes(found.ended(list(few_shot.evaluations.values()))),
            *used_marks([cell for row in rows for cell in row]),
        ),
    )
    title = f"Table 5: ablations, split by {few_shot.split}" + (f" ({number + 1})" if number else "")
    return [Heading(title), table]


def suffix(number: int) -> str:
    """Of the files of a second table, or third."""
    return f"_{number + 1}" if number else ""
