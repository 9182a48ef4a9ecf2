"""The model card of a classifier, made from the run that measured it; the text is ``templates/model_card.md.j2``."""

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml

from configs.constants import IMU_RATE_HZ
from models.classifier import ClassifierFacts
from models.novelty import QUANTILE
from utils.calibration import UNSURE
from utils.long_table import GUESSES, METRICS, long_table, method
from utils.tables import fraction, interval, interval_note, markdown, notes, percent, seen_before

_TAGS = ["human-activity-recognition", "imu", "accelerometer", "gyroscope", "wearable"]
_MODES = {
    "lp": "The encoder stayed as it was; the linear layer on it has learnt.",
    "finetune": "The encoder has learnt together with the linear layer, from where its pretraining had ended.",
    "supervised": "Encoder and linear layer have learnt from these labels alone, from random weights.",
}
_MOMENTS = {
    "dataset": "the data learnt from",
    "recording": "the recording, which the caller gives (`mean`, `std`: six each)",
    "window": "each window",
    "none": "nothing (as they are)",
}


def model_card(
    name: str, facts: ClassifierFacts, results: dict[str, Any], of_people: np.ndarray, licence: str | None
) -> str:
    """The card as Markdown with a YAML front matter.

    People are counted, not named: a card is read by others than ``predictions.csv``.

    Args:
        name: of the classifier.
        facts: what its config.json says.
        results: of the run that measured it.
        of_people: (G,) balanced accuracy of each person's or session's held-out windows at the most shots.
        licence: of the classifier; None is unknown.
    """
    shots = max(results["shots"], key=int)
    measured = results["shots"][shots]
    calibration, trained = measured["calibration"], facts.trained_on
    tags = _TAGS + ["simulated"] * facts.simulated
    front = {"license": licence or "unknown", "library_name": "pytorch", "tags": tags}
    rows = list(zip(facts.classes, measured["recall"], strict=True))
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    ).get_template("model_card.md.j2")
    return template.render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        name=name,
        classes=facts.classes,
        window_s=f"{facts.window_s:g}",
        samples=round(facts.window_s * IMU_RATE_HZ),
        simulated=facts.simulated,
        moments=_MOMENTS[facts.normalize],
        of_recording=facts.normalize == "recording",
        threshold=facts.threshold,
        data=trained["dataset"],
        people=trained["people"],
        windows=sum(trained["windows_per_class"]),
        pretrained_on=trained["pretrained_on"],
        licence=licence,
        learnt=_MODES[trained["mode"]],
        per_class=", ".join(f"{k} {n}" for k, n in zip(facts.classes, trained["windows_per_class"], strict=True)),
        changes=trained["changes"],
        protocol=_protocol(results, shots),
        scores=_scores(results, int(shots)),
        fit=trained["fit"],
        shots=shots,
        notes=[*seen_before(results), *notes(results)],
        recall=markdown(("class", "recall"), [(k, "-" if r is None else percent(r)) for k, r in rows]),
        confusion=markdown(
            ("", *facts.classes),
            [(k, *map(str, row)) for k, row in zip(facts.classes, measured["confusion"], strict=True)],
        ),
        fails=_fails(rows, measured["confusion"], of_people),
        temperature=facts.temperature,
        calibration=facts.calibration,
        fitted=calibration["fitted"],
        ece=_spread(calibration["ece"], percent),
        ece_before=_spread(calibration["ece_uncalibrated"], percent),
        nll=_spread(calibration["nll"], fraction),
        nll_before=_spread(calibration["nll_uncalibrated"], fraction),
        abstention=_abstention(facts),
        area=percent(calibration["coverage"]["area"]),
        novelty=_novelty(facts),
        commit=trained["commit"],
        seed=trained["seed"],
        mode=trained["mode"],
    )


def _spread(of_draws: dict[str, Any], write: Any) -> str:
    return write(of_draws["mean"], of_draws["std"])


def _protocol(results: dict[str, Any], shots: str) -> str:
    draws = len(results["shots"][shots]["balanced_accuracy"]["values"])
    ends = results["shots"][shots]["interval"]["balanced_accuracy"]
    how = method(results)
    return (
        f"{how[0].upper()}{how[1:]}; measured on {results['dataset']['name']}, {results['held_out']}, kept apart by "
        f"{results['groups']}; mean ± standard deviation over {draws} draws at {shots} labelled windows per class; "
        f"{interval_note(ends)}."
    )


def _scores(results: dict[str, Any], shots: int) -> str:
    values = long_table({"": results})
    pooled = values[values["draw"].isna() & (values["shots"] == shots) & values["metric"].isin(METRICS)]
    rows = [
        (METRICS[row.metric], percent(row.value, row.std), interval(row), percent(row.chance), percent(row.majority))
        for row in pooled.itertuples()
    ]
    return markdown(("metric, %", "result", "95 % interval", *GUESSES), rows)


def _fails(rows: list[tuple[str, float | None]], confusion: list[list[int]], of_people: np.ndarray) -> str:
    """The worst classes with what they are taken for, and the spread over people."""
    known = sorted((recall, k) for k, (_, recall) in enumerate(rows) if recall is not None)
    lines = []
    for recall, k in known[: min(3, len(rows) - 1)]:
        wrong = np.array(confusion[k])
        wrong[k] = 0
        taken = f", most often taken for {rows[wrong.argmax()][0]}" if wrong.any() else ""
        lines.append(f"* {rows[k][0]}: {percent(recall)} % are found{taken}.")
    worst, middle, best = np.quantile(of_people, [0, 0.5, 1])
    lines.append(
        f"* Balanced accuracy of each of {len(of_people)} people (sessions or recordings where people are unknown): "
        f"worst {percent(worst)} %, median {percent(middle)} %, best {percent(best)} %."
    )
    lines.append("* Other sensors, places on the body, ways of wearing and activities were not measured.")
    return "\n".join(lines)


def _abstention(facts: ClassifierFacts) -> str:
    of = facts.calibration
    right = "-" if of["accuracy"] is None else f"{percent(of['accuracy'])} %"
    missed = "" if of["target_reached"] else " No threshold that answers half of the windows reaches this accuracy."
    return (
        f"Target: {percent(of['target_accuracy'])} % right among the windows answered; the {percent(UNSURE)} % least "
        f"sure are never answered, since confidence also falls on what is none of the classes.{missed} With thresholds "
        f"chosen on other people {percent(of['answered'])} % of the windows were answered, {right} of these right."
    )


def _novelty(facts: ClassifierFacts) -> str:
    of = facts.novelty
    if of is None:
        return (
            "This classifier cannot tell whether a recording is unlike what it learnt from: that takes a pretrained "
            "encoder and windows of two people at least."
        )
    encoder = "its encoder" if of.own_encoder else "the encoder as pretraining left it"
    return (
        "`scripts.predict` warns of recordings that are unlike these data. Measured is how far a window's embedding "
        f"by {encoder}, at length 1, is from the nearest class (Mahalanobis distance); windows further than "
        f"{of.threshold:.1f} are unlike: {percent(1 - QUANTILE)} % of {of.windows} windows of {of.people} people, each "
        f"compared with other people. With thresholds chosen on others too {percent(of.share)} % of the windows were "
        f"beyond, of one person at most {percent(of.highest_share)} %. A recording with more than "
        f"{percent(of.limit)} % is worth a warning. Those windows are answered all the same. "
        "Without a warning a recording may still be of another activity or place on the body that looks alike."
    )
