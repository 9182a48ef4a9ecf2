"""Which columns of a table are the time, the acceleration and the angular rate, by the names in its header."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from datasets.recording import BadRecording

_TIME = re.compile(  # time_ms, seconds_elapsed; but t_ax is a sensor on a thigh
    r"((date|unix|elapsed)?_?time|time_?stamp|epoch|t|elapsed|seconds|date|.*timestamp)"
    r"(_([mun]?s|sec|seconds|elapsed|utc))?\b.*"
)
_KINDS = {
    "acc": re.compile(r"acc"),
    "gyro": re.compile(r"gyr|rotation|rotrate|ang(ular)?[ _.-]?(rate|vel)|omega"),
    "rot": re.compile(r"(?<![a-z])rot(?=[xyz]?(?![a-z]))"),  # angular rate, where nothing else is: it may be an angle
}
_SHORT = re.compile(r"(?P<before>.*?)(?P<kind>[agw])[ _.-]?(?P<axis>[xyz])")  # ax, gy, chest_ax
_AXIS = re.compile(r"(?P<before>.*?)(?<![a-z])(?P<axis>[xyz])(?![a-z])(?P<after>.*)|(?P<start>.*?)(?P<last>[xyz])")
_UNIT = re.compile(r"[(\[]\s*(?P<unit>[^)\]]*?)\s*[)\]]")
_UNITS = {
    "g": "g", "mg": "mg", "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "ms-2": "m/s2",
    "rad/s": "rad/s", "rads-1": "rad/s", "deg/s": "deg/s", "°/s": "deg/s", "dps": "deg/s", "degrees/s": "deg/s",
    "rad/sec": "rad/s", "deg/sec": "deg/s",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of columns.

    Attributes:
        time: None: rows are evenly spaced.
        gyro: None: there is no gyroscope.
        guessed: whether the header was the only source.
        date: of the day, where ``time`` holds the time of day alone.
    """

    time: str | None
    acc: tuple[str, ...]
    gyro: tuple[str, ...] | None
    guessed: bool
    date: str | None = None

    @property
    def times(self) -> list[str]:
        return [name for name in (self.date, self.time) if name is not None]

    @property
    def channels(self) -> list[str]:
        return [*self.acc, *(self.gyro or ())]


def chosen_columns(names: Sequence[str], there: Sequence[str], timed: bool) -> Columns:
    """The columns that the user names: time if ``timed``, acceleration x, y, z, and angular rate x, y, z or nothing.

    ``date+time`` are two columns, of the day and of the time of day.

    Raises:
        BadRecording: ``missing_column``.
    """
    date, names = None, list(names)
    if timed and names[0] not in there and "+" in names[0]:
        date, names[0] = names[0].split("+", 1)
    if absent := [name for name in [*([date] if date else []), *names] if there.count(name) != 1]:
        message = f"has not exactly one column {', '.join(absent)}; its columns are {', '.join(there)}"
        raise BadRecording("missing_column", message)
    channels = tuple(names[timed:])
    return Columns(names[0] if timed else None, channels[:3], channels[3:] or None, guessed=False, date=date)


def guess_columns(there: Sequence[str], timed: bool) -> Columns:
    """The columns that names tell, such as ``acc_x``, ``ax``, ``x_acc``, ``Gyroscope X (deg/s)``.

    x, y and z alone are acceleration.

    Raises:
        BadRecording: ``missing_column``, ``missing_axis`` or ``several_sensors``; all ask for ``--csv_columns``.
    """
    shown = f"columns are {', '.join(there)}; name yours: --csv_columns time,ax,ay,az,gx,gy,gz"
    time = [name for name in there if _TIME.fullmatch(_bare(name))]
    time.sort(key=lambda name: _bare(name) == "date")  # beside a time it is the day alone
    if timed and not time:
        raise BadRecording("missing_column", f"no column of the time: {shown}, or give --sample_rate")
    groups: dict[str, dict[str, dict[str, str]]] = {kind: defaultdict(dict) for kind in _KINDS}
    for name in there:
        if found := _channel(_bare(name)):
            kind, axis, sensor = found
            groups[kind][sensor].setdefault(axis, name)
    rot = groups.pop("rot")
    quaternion = any(re.search(r"(?<![a-z])rot.*w$", _bare(name)) for name in there)
    groups["gyro"] = groups["gyro"] or ({} if quaternion else rot)
    axes: dict[str, tuple[str, ...] | None] = {}
    for kind, sensors in groups.items():
        whole = [of for of in sensors.values() if len(of) == 3]
        if len(whole) > 1:
            raise BadRecording("several_sensors", f"{len(whole)} sensors of {kind}: {shown}")
        if sensors and not whole:
            parts = ", ".join(name for of in sensors.values() for name in of.values())
            raise BadRecording("missing_axis", f"not three axes of {kind}, only {parts}: {shown}")
        axes[kind] = tuple(whole[0][axis] for axis in "xyz") if whole else None
    if axes["acc"] is None:
        raise BadRecording("missing_column", f"no columns of acceleration x, y, z: {shown}")
    date = time[-1] if len(time) > 1 and _bare(time[-1]) == "date" else None
    if not timed:
        return Columns(None, axes["acc"], axes["gyro"], guessed=True)
    return Columns(time[0], axes["acc"], axes["gyro"], guessed=True, date=date)


def stated_unit(names: Sequence[str]) -> str | None:
    """The unit that stands in brackets in the names of a sensor's columns, if it is one known here."""
    units = {
        _UNITS.get(found["unit"].lower().replace(" ", ""))
        for name in names
        if (found := _UNIT.search(name)) is not None
    }
    return units.pop() if len(units) == 1 else None


def _bare(name: str) -> str:
    return _UNIT.sub("", name).strip().lower()


def _channel(name: str) -> tuple[str, str, str] | None:
    """(kind, axis, sensor) of a column; the sensor is what is left of the name."""
    if name in ("x", "y", "z"):
        return "acc", name, ""
    kind = next((kind for kind, looks in _KINDS.items() if looks.search(name)), None)
    if kind is None:
        short = _SHORT.fullmatch(name)
        if short is None or short["before"][-1:].isalpha():
            return None
        return "acc" if short["kind"] == "a" else "gyro", short["axis"], short["before"]
    axis = _AXIS.fullmatch(name)
    if axis is None:
        return None
    return kind, axis["axis"] or axis["last"], f"{axis['before'] or axis['start']}|{axis['after'] or ''}"
