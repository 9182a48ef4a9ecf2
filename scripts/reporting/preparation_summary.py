"""What a preparation gave and what it left out, as Markdown tables on the terminal."""

import json
import sys

import numpy as np
import pandas as pd

from configs.constants import WINDOW_S
from datasets.masking import VIDEO_OFFSET, VIDEO_REASONS
from datasets.preparation.units_check import report_units
from datasets.store import Store
from datasets.windows import Windows, list_windows
from scripts.reporting.dataset_summary import hours_text, read_offsets
from utils.tables import markdown

_SUBJECTS_SHOWN = 40
_UNKNOWN = "(unknown)"
_UNITS_ARE_SET = {
    "pd": "--acc_unit, --gyro_unit (or --acc_counts_per_g, --gyro_counts_per_deg_s) and --imu_columns say what the "
    "columns hold",
    "table": "acc, gyro, acc_unit, gyro_unit and the counts per unit in the YAML file say what the columns hold",
}
_UNITS_ARE_FIXED = "this format has fixed units, so these may not be the files that were published"


def summary(store: Store) -> str:
    """What was prepared and what was left out, as Markdown tables."""
    table = store.recordings
    note = " (simulated)" if store.simulated else ""
    lines = [
        f"{store.root}{note}: {len(table)} recordings, {hours_text(table['duration_s'].sum() / 3600)} h, "
        f"{(table['frames'] > 0).sum()} with video"
    ]
    try:
        lines += window_tables(list_windows(store))
    except ValueError as error:  # none is left, and it says why
        lines.append(str(error))
    rejected = pd.read_csv(store.root / "rejected.csv", dtype={"id": str}, keep_default_na=False)
    if len(rejected):
        rows = [(reason, f"{len(g)}", g["id"].iloc[0]) for reason, g in rejected.groupby("reason")]
        lines.append(markdown(("left out because of", "times", "such as"), rows))
    notes = [json.loads(text or "{}") for text in table["notes"]]
    extra = [masked_table(store), *sync_lines(store), *report_units(table["id"].tolist(), notes)]
    return "\n\n".join(lines + [line for line in extra if line])


def window_tables(windows: Windows) -> list[str]:
    """Windows by class, and by subject."""
    names = np.array([*windows.classes, "(no label)"])[windows.label]  # -1, no label, is the last
    counted = pd.DataFrame({"label": names, "subject": windows.subject, "session": windows.session})
    counted["subject"] = counted["subject"].replace("", _UNKNOWN)
    lines = [
        markdown(
            ("class", "windows", "hours", "subjects", "sessions"),
            [
                (
                    name,
                    f"{len(g)}",
                    hours_text(len(g) * WINDOW_S / 3600),
                    _people(g["subject"]),
                    f"{g['session'].nunique()}",
                )
                for name, g in [*counted.groupby("label"), ("all", counted)]
            ],
        )
    ]
    subjects = counted.groupby("subject")
    rows = [(name, f"{len(g)}", f"{g['label'].nunique()}") for name, g in list(subjects)[:_SUBJECTS_SHOWN]]
    if len(subjects) > len(rows):
        rows.append((f"... {len(subjects) - len(rows)} more", "", ""))
    lines.append(markdown(("subject", "windows", "classes"), rows))
    return lines


def masked_table(store: Store) -> str:
    """Time that is prepared but not used, by reason; empty if there is none."""
    if store.masked.empty:
        return ""
    rows = [
        (
            reason + (" (where video is used)" if reason in VIDEO_REASONS else ""),
            f"{g['id'].nunique()}",
            f"{len(g)}",
            hours_text((g["end_s"] - g["start_s"]).sum() / 3600),
            f"{g['id'].iloc[0]} at {g['start_s'].iloc[0]:g} s",
        )
        for reason, g in store.masked.groupby("reason")
    ]
    return markdown(("masked because of", "recordings", "stretches", "hours", "such as"), rows)


def sync_lines(store: Store) -> list[str]:
    """What ``--max_offset_s`` did, if it was given."""
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


def _people(subjects: pd.Series) -> str:
    """How many there are; who is unknown may be one person or many."""
    known = subjects[subjects != _UNKNOWN].nunique()
    return f"{known or '?'}" if known == subjects.nunique() or not known else f"{known} + ?"


def check_strict(store: Store) -> None:
    """End with an error if gravity says that units are wrong."""
    notes = [json.loads(text) for text in store.recordings["notes"]]
    wrong = [
        (name, n["units_problem"])
        for name, n in zip(store.recordings["id"], notes, strict=True)
        if "units_problem" in n
    ]
    if wrong:
        name, problem = wrong[0]
        more = f" (and {len(wrong) - 1} recordings more)" if len(wrong) > 1 else ""
        remedy = _UNITS_ARE_SET.get(store.info["settings"]["format"], _UNITS_ARE_FIXED)
        sys.exit(f"prepare: units of {name}: {problem}{more}. {remedy}; without --strict this is a warning")
