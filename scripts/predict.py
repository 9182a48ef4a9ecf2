"""What somebody did, from recordings of an IMU: ``python -m scripts.predict FILE|DIR... --model CLASSIFIER --out DIR``.

Each recording gets a folder with its windows, bouts, minutes of each hour and day, a summary and a page. A recording
that cannot be read has a summary that says why, the others go on, and the exit status is 1. A second call overwrites.
``--stdin`` classifies the lines of a pipe instead, as they come.
"""

import signal
import sys
from pathlib import Path

from configs.load import parse
from configs.predict import PredictConfig
from datasets.recordings.find import find
from datasets.recordings.plain_csv import PlainSettings
from models import load_classifier
from models.classifier import Classifier
from models.smoothing import ForwardFilter
from scripts.live import COLUMNS, Live, stream_stdin
from scripts.predicting.recording import Applied, predict_recording
from scripts.predicting.summary import duration, problems
from utils.progress_bar import progress
from utils.run import commit


def main(argv: list[str] | None = None) -> int:
    """Classify all; returns the exit status."""
    config = parse(PredictConfig, argv)
    classifier = load_classifier(config.model)
    if config.stdin:
        return predict_stdin(config, classifier)
    facts = classifier.facts
    options = {"table": config.table, "sensor": config.sensor}
    listed, remarks = find(config.files, config.format, options, PlainSettings.of(config))
    print(*remarks, sep="\n", end="\n" if remarks else "")
    model = {
        "name": Path(config.model).name,
        "classes": facts.classes,
        "window_s": facts.window_s,
        "normalize": facts.normalize,
        "simulated": facts.simulated,
    }
    how = Applied(classifier, config, model, commit())
    failures = []
    for recording in progress(listed, total=len(listed), desc="predict", unit="recording"):
        summary = predict_recording(recording, how)
        if summary["read_ok"]:
            print(_said(summary), flush=True)
        else:
            failures.append(f"{recording.name}: {summary['error']}: {summary['error_message']}")
    print(f"{len(listed) - len(failures)} of {len(listed)} recordings: {config.out}")
    if failures:
        print(*[f"NOT READ {line}" for line in failures], sep="\n", file=sys.stderr)
    return int(bool(failures))


def predict_stdin(config: PredictConfig, classifier: Classifier) -> int:
    """Classify samples as they come; smoothing looks back only (``ForwardFilter``)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has seen enough ends this, as it ends other pipes
    live = Live(classifier, config.hop_s)
    if not config.no_smooth:
        live = Live(classifier, config.hop_s, lambda: ForwardFilter(live.hop_s, classifier.facts))
    how = {name: value for name in ("acc_unit", "gyro_unit", "time_unit") if (value := getattr(config, name))}
    stream_stdin(live, sys.stdin.buffer, sys.stdout, config.columns or COLUMNS, threshold=config.threshold, **how)
    return 0


def _said(summary: dict) -> str:
    """A line on a recording: what was guessed, and how long each activity took."""
    reading = summary["reading"]
    guesses = [
        f"{what} {reading[key]}"
        for what, key, guessed in (
            ("columns", "columns", "columns_guessed"),
            ("time", "time_format", "time_format_guessed"),
            ("acceleration in", "acc_unit", "acc_unit_guessed"),
            ("angular rate in", "gyro_unit", "gyro_unit_guessed"),
        )
        if reading[guessed]
    ]
    spent = ", ".join(f"{name} {duration(of['minutes'])}" for name, of in summary["activities"].items())
    lines = [f"{summary['name']}: {spent}; not worn {duration(summary['wear']['nonwear_min'])}"]
    lines += [f"  guessed: {'; '.join(guesses)}"] if guesses else []
    lines += [f"  WARNING, {problem}" for problem in problems(summary)]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as problem:
        sys.exit(f"{PredictConfig.program}: {problem}")
