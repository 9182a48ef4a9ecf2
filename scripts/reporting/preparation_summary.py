"""The summary of a preparation on the terminal, as Markdown tables."""

import sys

import pandas as pd

from datasets.masking import VIDEO_OFFSET
from datasets.preparation.units_report import units_problems
from datasets.store import Store
from scripts.reporting.dataset_quality import masked_by_reason, rejected_by_reason, units_columns, units_lines
from scripts.reporting.dataset_summary import Summary, hours_text, read_offsets, summarize
from utils.tables import markdown

_SUBJECTS_SHOWN = 40
_UNITS_ARE_SET = {
    "pd": "--acc_unit, --gyro_unit (or --acc_counts_per_g, --gyro_counts_per_deg_s) and --imu_columns say what the "
    "columns hold",
    "table": "acc, gyro, acc_unit, gyro_unit and the counts per unit in the YAML file say what the columns hold",
}
_UNITS_ARE_FIXED = "this format has fixed units, so these may not be the files that were published"


def summary(store: Store, window_s: float) -> str:
    """What was prepared and what was left out, as Markdown tables; windows of this length are counted."""
    found, table = summarize(store, window_s), store.recordings
    note = " (simulated)" if store.simulated else ""
    lines = [
        f"{store.root}{note}: {len(table)} recordings, {hours_text(found.hours)} h, "
        f"{(table['frames'] > 0).sum()} with video"
    ]
    if store.accelerometer_only:
        lines.append("accelerometer only: there is no gyroscope, angular rates are zeros (--missing_gyro zeros)")
    if found.windows is None:
        lines.append(f"no usable {window_s:g} s window; recordings.csv and masked.csv say why")
    else:
        subjects = found.per("subject").rename({"": "(unknown)"})
        lines.append(f"{len(found.windows)} windows of {window_s:g} s, cut from the beginning of each recording")
        lines += event_lines(found) if len(store.segments) else []
        lines += [_counted("class", found.per_class)] if store.classes and not len(store.segments) else []
        lines.append(_counted("subject", subjects.drop(columns="subjects").head(_SUBJECTS_SHOWN)))
        if (more := len(subjects) - _SUBJECTS_SHOWN) > 0:
            lines.append(f"... {more} subjects more")
    if len(found.rejected):
        lines.append(_written("left out because of", rejected_by_reason(found.rejected)))
    if len(store.masked):
        lines.append(_written("masked because of", masked_by_reason(store.masked)))
    return "\n\n".join([*lines, *sync_lines(store), *units_lines(table)])


def event_lines(found: Summary) -> list[str]:
    """Events by class and the windows that they give, of recordings that change activity."""
    lines = [_written("event", found.events_table())]
    if few := found.events.index[found.events["inside"] == 0].tolist():
        lines.append(
            f"{', '.join(few)}: no event holds a window of {found.window_s:g} s: take a shorter --window_s, or "
            "evaluate with --label_share below 1 (a window has the label of the event that covers so much of it)"
        )
    return lines


def _counted(noun: str, counts: pd.DataFrame) -> str:
    return _written(noun, counts.rename_axis(noun).reset_index().astype(str))


def _written(noun: str, frame: pd.DataFrame) -> str:
    return markdown([noun, *frame.columns[1:]], frame.to_numpy().tolist())


def sync_lines(store: Store) -> list[str]:
    """The effect of ``--max_offset_s``, if it was given."""
    limit = store.info.get("quality", {}).get("max_offset_s")
    if limit is None:
        return []
    offsets = read_offsets(store)
    filmed = store.recordings.loc[store.recordings["frames"] > 0, "id"]
    offset_s = offsets.loc[offsets["id"].isin(filmed), "offset_s"]
    far, silent = int((store.masked["reason"] == VIDEO_OFFSET).sum()), int(offset_s.isna().sum())
    return [
        f"synchrony: {len(offset_s) - far - silent} recordings within {limit:g} s, {far} masked beyond it, "
        f"{silent} cannot tell and are kept"
    ]


def check_strict(store: Store) -> None:
    """Exit with an error if recordings failed the check of units."""
    wrong = units_problems(*units_columns(store.recordings))
    if wrong:
        name, problem = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        remedy = _UNITS_ARE_SET.get(store.info["settings"]["format"], _UNITS_ARE_FIXED)
        sys.exit(f"prepare: units of {name}: {problem}{more}. {remedy}; without --strict this is a warning")
