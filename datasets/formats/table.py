"""Anybody's tables, described by a YAML file (``configs/table.py`` says what can stand in it); one file, one recording.

    python -m scripts.prepare --format table --table mine.yaml --raw DIR --out data/mine

Text files (.gz or not) and Parquet. Units are what the YAML says and become m/s² and rad/s; axes stay the sensor's own.
The gyroscope may have a file of its own, with times of its own. Where there is a video, time 0 is its first frame.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from configs.load import ConfigError, build, read_yaml
from configs.table import TableConfig
from datasets.formats.common import fill, id_from, match_paths, need_folder
from datasets.formats.table_rows import Files, parse
from datasets.recording import Found, Rejection, Source

OPTIONS = ("table", "sensor", "missing_gyro")


@dataclass(frozen=True)
class Described:
    """A format that is a description of its tables.

    Attributes:
        table: YAML file; its first lines say what the dataset is, its units and axes.
    """

    table: Path
    OPTIONS: ClassVar[tuple[str, ...]] = ("sensor", "missing_gyro")

    def find(
        self, raw: Path, sensor: Sequence[str] | None, missing_gyro: str | None = None, signal_only: bool = False
    ) -> Found:
        """List the files that fit the description, see ``find`` of this module."""
        return find(raw, self.table, sensor, missing_gyro, signal_only)


def find(
    raw: Path,
    table: Path,
    sensor: Sequence[str] | None = None,
    missing_gyro: str | None = None,
    signal_only: bool = False,
) -> Found:
    """List the files that fit the description.

    Args:
        table: YAML file.
        sensor: names among ``sensors`` of the description; with several, ids end with them. None takes the first.
        missing_gyro: ``zeros``: where the description names no gyroscope its angular rates are zeros; None: such
            recordings are refused when they are read.
        signal_only: times and channels are read, and no labels, subjects or video, which may be missing.

    Raises:
        FileNotFoundError: if no file fits.
        ValueError: if the description cannot be used (``ConfigError``), Parquet cannot be read here, or
            ``missing_gyro`` is given and no gyroscope is missing.
    """
    need_folder(raw, "give the folder with your tables as --raw")
    chosen = descriptions(table, sensor)
    if signal_only:
        chosen = {name: _signal_only(how) for name, how in chosen.items()}
    without = [name for name, how in chosen.items() if how.gyro is None]
    if missing_gyro and not without:
        raise ValueError(f"missing_gyro {missing_gyro}: {table} names a gyroscope's columns: leave --missing_gyro out")
    sources: list[Source] = []
    rejected: list[Rejection] = []
    for name, how in chosen.items():
        more = {"missing_gyro": missing_gyro} if missing_gyro and name in without else {}
        _list_files(raw, name, f"-{name}" if len(chosen) > 1 else "", how, more, sources, rejected)
    patterns = " or ".join(dict.fromkeys(how.files for how in chosen.values()))
    if not sources and not rejected:
        raise FileNotFoundError(f"{raw} holds no file like {patterns}: mend files in {table}, or --raw")
    if any(source.files[0].suffix == ".parquet" for source in sources) and not importlib.util.find_spec("pyarrow"):
        raise ValueError("Parquet is read by pyarrow, which is not installed: pip install pyarrow, or convert to CSV")
    labels = [label for how in chosen.values() for label in (how.labels or {}).values() if label]
    says = [how.model_dump_json(exclude_unset=True) for how in chosen.values()]
    notes = {"table": says[0] if len(says) == 1 else f"[{', '.join(says)}]"}  # the dataset travels without the YAML
    if licence := next(iter(chosen.values())).licence:
        notes["licence"] = licence
    return Found(tuple(sources), tuple(rejected), tuple(dict.fromkeys(labels)), notes)


def find_files(
    files: Sequence[Path], table: Path, sensor: Sequence[str] | None = None, missing_gyro: str | None = None
) -> list[Source]:
    """Recordings of files that may be called anything and lie anywhere; times and channels alone are read.

    A gyroscope with a file of its own lies beside, named as the last part of ``gyro_files`` says.

    Args:
        files: tables of which each is a recording, or the gyroscope's file of another.
        table, sensor, missing_gyro: as of ``find``.

    Raises:
        ConfigError: if the description cannot be used.
    """
    sources = []
    chosen = descriptions(table, sensor)
    for name, how in chosen.items():
        more = {"missing_gyro": missing_gyro} if missing_gyro and how.gyro is None else {}
        beside = {path: _other(path.parent, how.gyro_files and Path(how.gyro_files).name, _own(path)) for path in files}
        for path, gyro in beside.items():
            if path in beside.values():
                continue  # the gyroscope's file itself
            recording_id = id_from(_own(path)["stem"]) + (f"-{name}" if len(chosen) > 1 else "")
            its = Files(path, gyro, None, None)
            read = partial(parse, recording_id, its, {}, _signal_only(how), name, **more)
            sources.append(Source(recording_id, its.there(), read))
    return sources


def _own(path: Path) -> dict[str, str]:
    """What a pattern can say of a file whose place says nothing."""
    return {"stem": path.name.removesuffix(".gz").rpartition(".")[0] or path.name, "folder": "."}


def _signal_only(how: TableConfig) -> TableConfig:
    return how.model_copy(update=dict.fromkeys(("label", "labels", "annotations", "subject", "subjects", "video")))


def descriptions(table: Path, sensor: Sequence[str] | None) -> dict[str, TableConfig]:
    """The description for each chosen sensor, by its name; "" where the description has no ``sensors``.

    Raises:
        ConfigError: naming the file and what is wrong.
    """
    values = read_yaml(table)
    sensors = values.pop("sensors", None)
    if sensors is None:
        if sensor:
            raise ConfigError(f"{table}: has no sensors: leave --sensor {' '.join(sensor)} out")
        return {"": build(TableConfig, values, str(table))}
    if not (isinstance(sensors, dict) and sensors and all(isinstance(keys, dict) for keys in sensors.values())):
        raise ConfigError(f"{table}: sensors must hold keys for each name, such as {{chest: {{acc: [x, y, z]}}}}")
    if strange := [name for name in sensor or () if name not in sensors]:
        raise ConfigError(f"{table}: has no sensor {strange[0]}, it has {', '.join(map(str, sensors))}")
    names = dict.fromkeys(sensor or list(sensors)[:1])
    return {name: build(TableConfig, values | sensors[name], f"{table}, sensor {name}") for name in names}


def _list_files(
    raw: Path,
    sensor: str,
    suffix: str,
    how: TableConfig,
    more: dict[str, str],
    sources: list[Source],
    rejected: list[Rejection],
) -> None:
    with_gyro = set()
    for path, parts in match_paths(raw, how.files):
        place = path.relative_to(raw)
        stem = place.name.removesuffix(".gz").rpartition(".")[0] or place.name
        parts |= {"stem": stem, "folder": place.parent.as_posix()}
        words = (*place.parent.parts, stem) if how.id is None else (fill(how.id, parts),)
        recording_id = id_from(*words) + suffix
        files = Files(
            path,
            _other(raw, how.gyro_files, parts),
            _other(raw, how.annotations.files if how.annotations else None, parts),
            _other(raw, how.video, parts),
        )
        with_gyro.add(files.gyro)
        missing = [
            (f"missing_{name}", file)
            for name, file in (("gyro", files.gyro), ("annotations", files.annotations), ("video", files.video))
            if file is not None and not file.is_file()
        ]
        if missing:
            reason, file = missing[0]
            rejected.append(Rejection(recording_id, reason, f"{file}: belongs to {path}, is not there"))
            continue
        read = partial(parse, recording_id, files, parts, how, sensor, **more)
        sources.append(Source(recording_id, files.there(), read))
    if how.gyro_files is not None:
        alone = fill(how.gyro_files, {"folder": "**", "stem": "*"})
        for path, _ in match_paths(raw, alone):
            if path not in with_gyro:
                name = id_from(*path.relative_to(raw).parts)
                rejected.append(Rejection(name, "missing_acc", f"{path}: no file like {how.files} belongs to it"))


def _other(raw: Path, pattern: str | None, parts: dict[str, str]) -> Path | None:
    """A file that belongs to a recording; gzipped, if only that is there."""
    if pattern is None:
        return None
    path = raw / fill(pattern, parts)
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path
