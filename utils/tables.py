"""Results as Markdown tables, one way of writing a number everywhere."""

from collections.abc import Callable, Sequence
from typing import Any

MODES = {"lp": "linear probe", "finetune": "finetuning", "supervised": "supervised from scratch"}
METRICS = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "mrr": "MRR", "r@1": "R@1", "r@3": "R@3"}


def percent(mean: float | None, std: float | None = None, digits: int = 1) -> str:
    """``71.2 ± 3.4`` from fractions 0.712 and 0.034; without std ``71.2``; nothing to show is ``-``."""
    if mean is None:
        return "-"
    return f"{100 * mean:.{digits}f}" + (f" ± {100 * std:.{digits}f}" if std is not None else "")


def fraction(mean: float, std: float | None = None) -> str:
    """``0.712 ± 0.034``; without std ``0.712``."""
    return f"{mean:.3f}" + (f" ± {std:.3f}" if std is not None else "")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], labels: int = 1) -> str:
    """A Markdown table, columns padded so that it reads as plain text too; the first ``labels`` are flush left.

    Raises:
        ValueError: if a row is not as long as the header.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(f"a row has not the {len(header)} cells of the header {list(header)}")
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if c < labels else "-" * (w + 1) + ":" for c, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def marked(name: str, simulated: bool) -> str:
    """A dataset's name, and that it is simulated where it is."""
    return f"{name} (simulated)" if simulated else name


def encoder_origin(results: dict[str, Any]) -> str:
    """Where an evaluated encoder comes from."""
    if results["command"] == "downstream" and results["encoder"] == "random":
        return "random weights"
    dataset = results["checkpoint"]["dataset"]
    return f"pretrained on {marked(dataset['name'], dataset['simulated'])}"


def few_shot_method(results: dict[str, Any]) -> str:
    """How the classes were learnt, without the dataset that they were learnt on."""
    if results["command"] == "handcrafted":
        return "random forest on handcrafted features"
    standardized = " on standardised embeddings" if results["config"]["standardize"] else ""
    pooling = results["imu_pooling"]  # conv_gru has none
    model = f"{results['model']} ({pooling})" if pooling else results["model"]
    return f"{MODES[results['mode']]}{standardized}, {model}, {encoder_origin(results)}"


def few_shot_title(results: dict[str, Any]) -> str:
    """One line that says what was measured, and what of it is simulated."""
    return f"{marked(results['dataset']['name'], results['simulated'])}: {few_shot_method(results)}"


def interval(measured: dict[str, Any], name: str, written: Callable[[float], str] = percent) -> str:
    """``64.1 to 78.0``, the 95 % interval over groups of a metric; a dash where there is none."""
    ends = measured["interval"][name]
    return "-" if ends["low"] is None else f"{written(ends['low'])} to {written(ends['high'])}"


def interval_note(ends: dict[str, Any]) -> str:
    """What an interval is over, or why there is none."""
    return ends["note"] if ends["low"] is None else f"95 % interval over {ends['groups']} groups"


def seen_before(results: dict[str, Any]) -> list[str]:
    """A line that says that the encoder was pretrained on what it is measured on; none where it was not."""
    seen = results["seen_in_pretraining"]
    return (
        [f"Seen before: {seen['why']}; {seen['windows']} of these windows are not new to it."] if seen["seen"] else []
    )


def paper_column(results: dict[str, Any]) -> list[str]:
    """A line for results on all classes of a dataset of which the paper took some; none for others."""
    return [line] if (line := results["paper_column"]) else []


def copies_left_out(results: dict[str, Any]) -> list[str]:
    """A line that counts what was no query because a prototype holds it under another name; none where nothing was."""
    copies = results["copies_left_out"]
    return [f"Left out: {len(copies)} windows that are copies of a prototype's recording."] if copies else []


def siblings_between(siblings: float, shots: int) -> str:
    """How many of the held-out windows a split by windows parted from others of their recording, in words."""
    held_out = f"{percent(siblings)} % of the held-out windows"
    return f"{held_out} have another window of their recording among the {shots} shots per class"


def shortened_classes(shortened: dict[str, dict[str, int]]) -> list[str]:
    """A line that names the classes that are learnt from with fewer windows than the most shots; none where none is.

    Args:
        shortened: of ``results.json``: name -> how many windows the class has, the fewest and the most shots of a draw.
    """
    parts = []
    for name, of in shortened.items():
        fewest, most = of["fewest_shots"], of["most_shots"]
        parts.append(f"{name} with {fewest if fewest == most else f'{fewest} to {most}'} of its {of['windows']}")
    said = "Shortened, learnt from with fewer windows where more shots are asked for"
    return [f"{said}: {', '.join(parts)}."] if parts else []


def few_shot_notes(results: dict[str, Any]) -> list[str]:
    """What a reader of few-shot results must know of their windows."""
    lines = shortened_classes(results["shortened_classes"])
    if siblings := results["siblings_share"]:
        lines.append(f"Recordings on both sides: {siblings_between(siblings, max(map(int, results['shots'])))}.")
    return lines


def few_shot_tables(results: dict[str, Any]) -> str:
    """Results by number of shots beside chance, and recall of each class."""
    names = ("balanced_accuracy", "macro_f1")
    rows = [
        [f"{n} shots", *(c for name in names for c in (percent(r[name]["mean"], r[name]["std"]), interval(r, name)))]
        for n, r in results["shots"].items()
    ]
    for row in ("chance", "majority"):
        rows.append([row, *(cell for name in names for cell in (percent(results[row][name]), ""))])
    first = next(iter(results["shots"].values()))["interval"]["balanced_accuracy"]
    recall = [
        [name, *(percent(r["recall"][k]) for r in results["shots"].values())]
        for k, name in enumerate(results["classes"])
    ]
    draws = len(next(iter(results["shots"].values()))["balanced_accuracy"]["values"])
    return "\n".join(
        [
            f"\n{few_shot_title(results)}",
            f"mean ± std over {draws} draws; held out: {results['held_out']}; split by {results['groups']}; "
            f"{interval_note(first)}",
            *paper_column(results),
            *seen_before(results),
            *few_shot_notes(results),
            "",
            markdown(["", *(cell for name in names for cell in (f"{METRICS[name]}, %", "interval"))], rows),
            "\nRecall of each class, %\n",
            markdown(["class", *(f"{n} shots" for n in results["shots"])], recall),
            "",
        ]
    )


def zero_shot_title(results: dict[str, Any]) -> str:
    """One line that says what was measured, and what of it is simulated."""
    target, source = results["dataset"], results["prototypes_from"]
    name = marked(target["name"], target["simulated"])
    prototypes = "" if source == target else f", prototypes from {marked(source['name'], source['simulated'])}"
    way = "" if results["direction"] == "imu_to_video" else " from video to IMU"
    return f"{name}: zero-shot{way}, {results['model']}, {encoder_origin(results)}{prototypes}"


def zero_shot_tables(results: dict[str, Any]) -> str:
    """Each metric beside its chance value, and recall of each class."""
    rows = [
        [
            label,
            fraction(results["metrics"][name]["mean"], results["metrics"][name]["std"]),
            interval(results, name, fraction) if name in results["interval"] else "",
            fraction(results["chance"][name]),
        ]
        for name, label in METRICS.items()
    ]
    recall = [
        [name, str(n), percent(value)]
        for name, n, value in zip(results["classes"], results["queries_per_class"], results["recall"], strict=True)
    ]
    repetitions = len(results["metrics"]["mrr"]["values"])
    drawn = results["config"]["bootstrap_share"]
    return "\n".join(
        [
            f"\n{zero_shot_title(results)}",
            f"{sum(results['queries_per_class'])} queries, {results['prototypes_per_class']} prototypes per class; "
            f"mean ± std over {repetitions} random {100 * drawn:g} % of each class; "
            f"{interval_note(results['interval']['balanced_accuracy'])}",
            *paper_column(results),
            *seen_before(results),
            *copies_left_out(results),
            "",
            markdown(["metric", "result", "interval", "chance"], rows),
            "\nRecall of each class (all queries), %\n",
            markdown(["class", "queries", "recall"], recall),
            "",
        ]
    )
