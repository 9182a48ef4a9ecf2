"""GPMF, the telemetry that GoPro cameras write into a track of their mp4 files.

A payload (about one second) is a tree of records: a four-letter key, a type, the size of one item and their number,
then the items, padded to four bytes. Within a stream (``STRM``) the data come last; records before them say how to
read them: ``SCAL`` divides the integers, ``SIUN`` is the unit after that, ``ORIN`` or the text of ``STNM`` name the
axes. Format: https://github.com/gopro/gpmf-parser (``docs``).

Axes come out in one order for all cameras, the camera's own X, Y, Z as its records name them: X right/left, Y
forward/back, Z up/down; an upright camera at rest reads +9.8 m/s² on Z.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from datasets.recording import BadRecording

UNITS = {"ACCL": "m/s²", "GYRO": "rad/s"}
_TYPES = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "f": ">f4", "d": ">f8", "j": ">i8"}
_AXES_IN_WORDS = {"up/down": "Z", "right/left": "X", "forward/back": "Y"}


@dataclass(frozen=True)
class Record:
    """One key with its content; a type of NUL means that the content is records again."""

    key: str
    type: str
    item_bytes: int
    data: bytes


def records(data: bytes) -> Iterator[Record]:
    """Walk the records of one level.

    Raises:
        ValueError: if a record reaches beyond the data.
    """
    position = 0
    while position + 8 <= len(data):
        key, kind, item_bytes, count = struct.unpack_from(">4scBH", data, position)
        size = item_bytes * count
        if key == b"\0\0\0\0":  # padding at the end of a payload
            return
        if position + 8 + size > len(data):
            raise ValueError(f"record {key!r} of {size} bytes reaches beyond its {len(data)} bytes")
        yield Record(
            key.decode("latin-1"), kind.decode("latin-1"), item_bytes, data[position + 8 : position + 8 + size]
        )
        position += 8 + (size + 3) // 4 * 4


def read_payload(payload: bytes, where: str) -> dict[str, np.ndarray]:
    """Accelerometer and gyroscope of one payload.

    Args:
        where: file and payload, for messages.

    Returns:
        ``ACCL`` and ``GYRO``, those that are there: (n, 3) float64 in m/s² and rad/s, axes X, Y, Z.

    Raises:
        BadRecording: ``damaged_telemetry``, ``unknown_unit`` or ``unknown_axes``.
    """
    found: dict[str, np.ndarray] = {}
    try:
        for device in records(payload):
            for stream in records(device.data) if device.key == "DEVC" else ():
                if stream.key != "STRM":
                    continue
                stated = {record.key: record for record in records(stream.data)}
                for key in UNITS.keys() & stated.keys() - found.keys():
                    found[key] = _sensor(key, stated, where)
    except ValueError as error:
        if isinstance(error, BadRecording):
            raise
        raise BadRecording("damaged_telemetry", f"{where}: {error}") from error
    return found


def _sensor(key: str, stated: dict[str, Record], where: str) -> np.ndarray:
    record = stated[key]
    raw = _numbers(record)
    if raw.shape[1] != 3:
        raise ValueError(f"{key} has {raw.shape[1]} values per sample, want 3")
    unit = _text(stated["SIUN"]) if "SIUN" in stated else UNITS[key]
    if unit != UNITS[key]:
        raise BadRecording("unknown_unit", f"{where}: {key} is in {unit!r}, want {UNITS[key]!r}")
    scale = _numbers(stated["SCAL"]).ravel() if "SCAL" in stated else np.ones(1)
    if len(scale) not in (1, 3) or not scale.all():
        raise ValueError(f"{key} has the scale {scale.tolist()}, want one number or three, none of them 0")
    axes = axis_order(_text(stated["ORIN"]) if "ORIN" in stated else "", _text(stated.get("STNM")))
    if axes is None:
        raise BadRecording("unknown_axes", f"{where}: {key} names its axes neither in ORIN nor in STNM")
    columns = [axes.upper().index(axis) for axis in "XYZ"]
    signs = [1.0 if axes[column].isupper() else -1.0 for column in columns]
    return (raw / scale)[:, columns] * signs


def axis_order(orin: str, stream_name: str) -> str | None:
    """Axis of each stored value, such as ``XzY``: upper case as it is, lower case negated. None if nobody says.

    Args:
        orin: content of ``ORIN``, empty without it.
        stream_name: content of ``STNM``, in which old cameras name the axes: ``Gyroscope (z,x,y)`` or
            ``Accelerometer (up/down, right/left, forward/back)``.
    """
    words = re.findall(r"[\w/]+", stream_name.partition("(")[2].lower())
    order = orin or "".join(_AXES_IN_WORDS.get(word, word.upper()) for word in words)
    return order if sorted(order.upper()) == ["X", "Y", "Z"] else None


def _numbers(record: Record) -> np.ndarray:
    """Items of a record: (items, values per item) float64."""
    if record.type not in _TYPES:
        raise ValueError(f"{record.key} has type {record.type!r}, want one of {', '.join(_TYPES)}")
    kind = np.dtype(_TYPES[record.type])
    if record.item_bytes == 0 or record.item_bytes % kind.itemsize:
        raise ValueError(f"{record.key} has items of {record.item_bytes} bytes of type {record.type!r}")
    values = np.frombuffer(record.data, dtype=kind).astype(np.float64)
    return values.reshape(-1, record.item_bytes // kind.itemsize)


def _text(record: Record | None) -> str:
    return record.data.decode("latin-1").strip("\0 ") if record is not None else ""
