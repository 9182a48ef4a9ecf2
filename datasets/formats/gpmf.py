"""GPMF, the telemetry that GoPro cameras write into a track of their mp4 files.

A payload (about one second) is a tree of records: a four-letter key, a type, the size of one item and their number,
then the items, padded to four bytes. Within a stream (``STRM``) the data come last; records before them say how to
read them: ``SCAL`` divides the integers, ``SIUN`` is the unit after that, ``STMP`` the time of the first. Format: https://github.com/gopro/gpmf-parser
(``docs``). Acceleration is in m/s², angular rate in rad/s.

Axes come out in one order for all cameras, the camera's own X, Y, Z: X right/left, Y forward/back, Z up/down; an
upright camera at rest reads +9.8 m/s² on Z. How the stored ones lie is said by, in this order,

* ``ORIN``: the axis of each stored value, a lower-case letter for its negative (Hero8 and later, Max);
* ``MTRX`` and ``ORIO``: a matrix to apply, and the axes that it gives (Max has all three);
* the text of ``STNM``: ``Gyroscope (z,x,y)`` (Hero5, Hero6);
* the name of the camera, of which GoPro's page tells the order (Fusion, and Hero6 and Hero7 where STNM is mute).
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from datasets.recording import BadRecording

UNITS = {"ACCL": "m/s²", "GYRO": "rad/s"}
OF_FRAMES = ("CORI", "SHUT")  # streams with one value for each frame; the first of them that is there is believed
_TYPES = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "f": ">f4", "d": ">f8", "j": ">i8"}
_AXES_OF_CAMERA = {"fusion": "yXZ", "hero6": "YxZ", "hero7": "YxZ"}  # by the beginning of its name (DVNM)
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
    with _named(where):
        for camera, stated in _streams(payload):
            for key in UNITS.keys() & stated.keys() - found.keys():
                found[key] = _sensor(key, stated, camera, where)
    return found


def time_stamps(payload: bytes, where: str) -> dict[str, float]:
    """When the first sample of a stream in a payload was taken, seconds on the camera's clock; streams that say it.

    Args:
        where: file and payload, for messages.

    Raises:
        BadRecording: ``damaged_telemetry``.
    """
    found: dict[str, float] = {}
    with _named(where):
        for _, stated in _streams(payload):
            for key in {*UNITS, *OF_FRAMES} & stated.keys() - found.keys():
                if "STMP" in stated:
                    found[key] = int.from_bytes(stated["STMP"].data, "big") / 1e6
    return found


def _streams(payload: bytes) -> Iterator[tuple[str, dict[str, Record]]]:
    """Name of the camera, and the records of each stream by their keys."""
    for device in records(payload):
        camera = ""
        for stream in records(device.data) if device.key == "DEVC" else ():
            if stream.key == "DVNM":
                camera = _text(stream)
            if stream.key == "STRM":
                yield camera, {record.key: record for record in records(stream.data)}


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say where it is that something cannot be read."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, BadRecording):
            raise
        raise BadRecording("damaged_telemetry", f"{where}: {error}") from error


def _sensor(key: str, stated: dict[str, Record], camera: str, where: str) -> np.ndarray:
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
    turn = _axes(key, stated, camera, where)
    return raw / scale @ turn.T


def _axes(key: str, stated: dict[str, Record], camera: str, where: str) -> np.ndarray:
    """(3, 3) from stored values to X, Y, Z."""
    matrix = None
    if "MTRX" in stated and "ORIO" in stated:
        matrix, given = _numbers(stated["MTRX"]).ravel(), _text(stated["ORIO"])
        if len(matrix) != 9 or not _is_order(given):
            raise ValueError(f"{key} has a matrix of {len(matrix)} numbers to the axes {given!r}")
        matrix = axes_matrix(given) @ matrix.reshape(3, 3)
        if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3):
            raise ValueError(f"{key} has a matrix that does not turn: {matrix.round(3).tolist()}")
    if "ORIN" in stated and _is_order(orin := _text(stated["ORIN"])):
        turn = axes_matrix(orin)
        if matrix is not None and not np.allclose(turn, matrix, atol=1e-3):
            raise BadRecording("unknown_axes", f"{where}: {key} has ORIN {orin!r} against its MTRX to {given!r}")
        return turn
    if matrix is not None:
        return matrix
    order = axis_order(_text(stated.get("STNM")), camera)
    if "ORIN" in stated or order is None:
        raise BadRecording(
            "unknown_axes",
            f"{where}: {key} of camera {camera!r} names its axes neither in ORIN nor in MTRX nor in STNM",
        )
    return axes_matrix(order)


def axis_order(stream_name: str, camera: str) -> str | None:
    """Axis of each stored value, such as ``XzY``, where no record says it. None if nobody does.

    Args:
        stream_name: content of ``STNM``, in which old cameras name the axes: ``Gyroscope (z,x,y)`` or
            ``Accelerometer (up/down, right/left, forward/back)``.
        camera: content of ``DVNM``.
    """
    words = re.findall(r"[\w/]+", stream_name.partition("(")[2].lower())
    if words:
        order = "".join(_AXES_IN_WORDS.get(word, word.upper()) for word in words)
        return order if _is_order(order) else None
    names = [order for name, order in _AXES_OF_CAMERA.items() if camera.lower().removeprefix("gopro ").startswith(name)]
    return names[0] if names else None


def axes_matrix(order: str) -> np.ndarray:
    """(3, 3) from values in this order, lower case negated, to X, Y, Z."""
    return np.array(
        [[(letter.upper() == axis) * (1.0 if letter.isupper() else -1.0) for letter in order] for axis in "XYZ"]
    )


def _is_order(order: str) -> bool:
    return sorted(order.upper()) == ["X", "Y", "Z"]


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
