"""The page of a recording: a row for each day, an hour closely with its signal, and the table of minutes.

One HTML file with everything inside; it asks nothing of the network.

Letters: C cells of 5 s in a day.
"""

import base64
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from datasets.recordings.clock import Clock
from scripts.predicting.summary import duration, problems
from scripts.predicting.tables import HOUR_S, MINUTE_S, days_of
from scripts.predicting.timeline import CELL_S, NONWEAR, UNKNOWN, Cells, Timeline

COLOURS = (  # of classes in their order: Okabe and Ito 2008, then lighter and darker ones
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7b5ea7", "#8c564b", "#17becf",
    "#4c6e10", "#b80058", "#00bbad", "#5954d6", "#ff9287", "#878500",
)  # fmt: skip
UNKNOWN_COLOUR, MISSING_COLOUR = "#e3d9c6", "#bdbdbd"
PALE = ((0.5, 0.35), (0.75, 0.65), (1.01, 1.0))  # confidence below it, opacity
MISSING = 255
CUT_MIN = 360  # a recording of one day that is shorter has an axis of its own length
_OF_CELLS = ("activity", "confidence", "low", "high")  # bytes of a day
SIGNAL_MOST = 40.0  # m/s² at 255; 4 g, beyond which the picture is cut
_PER_MINUTE = round(MINUTE_S / CELL_S)


def page(
    name: str,
    summary: dict[str, Any],
    timeline: Timeline,
    cells: Cells,
    clock: Clock,
    hours: pd.DataFrame,
    simulated: bool,
) -> str:
    """The HTML file."""
    days = [_day(day, timeline, cells, clock) for day in days_of(timeline, clock)]
    for before, day in zip([None, *days], days, strict=False):
        day["gap_days"] = 0 if before is None else (day["date"] - before["date"]).days - 1
    legend = [{"name": name, "fill": fill(place, timeline)} for place, name in enumerate(timeline.names)]
    known = [name for name in timeline.names if name != NONWEAR]
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            [Path(__file__).with_name("templates"), Path(__file__).parents[1] / "reporting" / "templates"]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    data = {
        "cell_s": CELL_S,
        "signal_most": SIGNAL_MOST,
        "missing": MISSING,
        "missing_fill": MISSING_COLOUR,
        "pale": PALE,
        "activities": legend,
        "first_hour": int((timeline.begin_s[0] - clock.midnight(days[0]["date"])) // HOUR_S) if days else 0,
        "days": [{key: day[key] for key in ("label", "hours", *_OF_CELLS)} for day in days],
    }
    return env.get_template("recording.html.j2").render(
        name=name,
        summary=summary,
        problems=problems(summary),
        relative=clock.kind == "relative",
        days=days,
        axis=axis(timeline, clock, days),
        duration=duration,
        pale=PALE[0][1],
        legend=legend,
        missing_fill=MISSING_COLOUR,
        minutes=minutes_rows(hours, known),
        known=known,
        simulated=simulated,
        data=data,
    )


def axis(timeline: Timeline, clock: Clock, days: list[dict[str, Any]]) -> dict[str, Any]:
    """Minutes of the day that rows show (None: all of each day), and (x, label) of the scale, x from 0 to 1440."""
    first, width, step = 0, 1440, 120
    if len(days) == 1:
        midnight = clock.midnight(days[0]["date"])
        begin, end = ((at - midnight) / MINUTE_S for at in (timeline.begin_s[0], timeline.end_s[-1]))
        if end - begin < CUT_MIN:
            unit = 60 if end - begin > 60 else 10
            first = int(begin // unit) * unit
            width, step = int(np.ceil(end / unit)) * unit - first, unit if unit == 60 else 2
    places = range(first, first + width, step)
    labels = [str(at // 60) for at in places]
    if width < 1440:  # where the clock changes, hours of the clock are not those since midnight
        labels = [f"{int(days[0]['hours'][at // 60][:2])}:{at % 60:02d}" for at in places]
    ticks = [(round(k * step / width * 1440, 1), label) for k, label in enumerate(labels)]
    return {"first": first, "width": width if width < 1440 else None, "ticks": ticks}


def fill(place: int, timeline: Timeline) -> str:
    """Colour of an activity, the same on every page of a classifier; not worn is hatched."""
    if timeline.names[place] == NONWEAR:
        return "url(#hatched)"
    return UNKNOWN_COLOUR if timeline.names[place] == UNKNOWN else COLOURS[place % len(COLOURS)]


def _day(day: Any, timeline: Timeline, cells: Cells, clock: Clock) -> dict[str, Any]:
    """What the page shows of a day: rectangles of the row, hours, and the cells as base64 of bytes."""
    begin, end = clock.midnight(day), clock.midnight(day + timedelta(1))
    number = np.arange(round(begin / CELL_S), round(end / CELL_S))
    activity, confidence = at_cells(timeline, number)
    low, high = (np.full(len(number), 0, np.uint8) for _ in range(2))
    present = (cells.number >= number[0]) & (cells.number <= number[-1])
    place = cells.number[present] - number[0]
    for target, values in ((low, cells.low), (high, cells.high)):
        target[place] = np.clip(np.round(values[present] / SIGNAL_MOST * 255), 0, 255)
    seen = np.zeros(len(number), np.uint8)
    seen[place] = 1
    high[(seen == 1) & (high == 0)] = 1  # 0 and 0 stand for no signal
    starts = np.arange(begin, end, HOUR_S)
    percent = np.round(np.nan_to_num(confidence) * 100)
    relative = clock.kind == "relative"
    return {
        "date": day,
        "label": f"day {(day - clock.local(np.zeros(1))[0].date()).days + 1}" if relative else day.isoformat(),
        "minutes": round((end - begin) / MINUTE_S),
        "rectangles": rectangles(activity, confidence, timeline),
        "hours": [text[11:16] for text in clock.iso(starts)],
        **{
            key: base64.b64encode(np.asarray(values, np.uint8).tobytes()).decode()
            for key, values in zip(_OF_CELLS, (activity, percent, low, high), strict=True)
        },
    }


def at_cells(timeline: Timeline, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activity (``MISSING`` where there is none) and confidence (C,) in the middle of each cell."""
    middle = (number + 0.5) * CELL_S
    place = np.searchsorted(timeline.begin_s, middle, side="right") - 1
    if len(timeline.begin_s) == 0:
        return np.full(len(number), MISSING), np.full(len(number), np.nan)
    inside = (place >= 0) & (middle < timeline.end_s[np.maximum(place, 0)])
    activity = np.where(inside, timeline.activity[place], MISSING)
    return activity, np.where(inside, timeline.confidence[place], np.nan)


def rectangles(activity: np.ndarray, confidence: np.ndarray, timeline: Timeline) -> list[dict[str, Any]]:
    """Rectangles of a day's row, x in minutes: of each minute its most frequent activity, or missing time."""
    minutes = activity.reshape(-1, _PER_MINUTE)
    count = len(timeline.names)
    votes = (minutes[:, :, None] == [*range(count), MISSING]).sum(1)
    most = votes.argmax(1)
    shown = minutes == np.where(most == count, MISSING, most)[:, None]
    sure = np.where(shown, np.nan_to_num(confidence.reshape(-1, _PER_MINUTE), nan=1.0), 0).sum(1) / shown.sum(1)
    states = [(int(code), opacity(value)) for code, value in zip(most, sure, strict=True)]
    out, x = [], 0
    for (code, visible), same in groupby(states):
        width = len(list(same))
        colour, shade = (fill(code, timeline), visible) if code < count else (MISSING_COLOUR, 1.0)
        out.append({"x": x, "width": width, "fill": colour, "opacity": shade})
        x += width
    return out


def opacity(confidence: float) -> float:
    """Low confidence is pale."""
    return next(visible for most, visible in PALE if confidence < most)


def minutes_rows(hours: pd.DataFrame, known: list[str]) -> list[dict[str, Any]]:
    """Rows of the table: crude minutes of each day, then the mean day with missing time imputed, if it can be."""
    crude = ["wear_min", "nonwear_min", "missing_min", *(f"minutes/{name}" for name in known)]
    imputed = [f"imputed_minutes/{name}" for name in known]
    days = hours.groupby("date")[[*crude, *imputed]].agg(lambda column: column.sum(skipna=False))
    rows = [
        {"label": day.isoformat(), "values": list(row)}
        for day, row in zip(days.index, days[crude].to_numpy(), strict=True)
    ]
    mean = days[imputed].mean(skipna=False)
    if len(days) and mean.notna().all():
        rows.append({"label": "mean day, imputed", "values": [None, None, None, *mean]})
    return rows
