"""The recordings among the files and folders that a user names."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from configs.load import read_yaml
from datasets.formats import FORMATS
from datasets.formats.common import id_from
from datasets.formats.table import Described, descriptions
from datasets.recording import BadRecording, Source
from datasets.recordings.plain_csv import PlainSettings, open_plain
from datasets.recordings.reader import Listed, Reading
from datasets.recordings.whole import open_source

PLAIN = (".csv", ".csv.gz", ".tsv", ".tsv.gz")  # in a folder; a file that is named may be called anything
BY_NAME = {  # names that leave no doubt
    "classyglass": re.compile(r"\d+_MetaWear_.+_(Accelerometer|Gyroscope)_.*\.csv(\.gz)?"),
    "sp_sw_har": re.compile(r"s\d+_\d+_s[pw]\.csv(\.gz)?"),
    "stanford_fog": re.compile(r"pt\d+_visit_[\d.]+_.*trial_\d+\.csv(\.gz)?"),
    "hapt": re.compile(r"(acc|gyro)_exp\d+_user\d+\.txt(\.gz)?"),
    "sisfall": re.compile(r"[DF]\d+_S[AE]\d+_R\d+\.txt(\.gz)?"),
    "gopro": re.compile(r"G[HXP]\d+\.(?i:mp4)"),
}
_PREDICTED = re.compile(r"(?P<name>.+)-(windows|bouts|hourly|daily)\.csv(\.gz)?")  # beside NAME-summary.json
_ABOVE = 3  # folders above a file in which a format may begin


def find(
    paths: Sequence[Path], format_name: str | None, options: Mapping[str, Any], settings: PlainSettings
) -> tuple[list[Listed], list[str]]:
    """List the recordings, each with a name of its own, and remarks on files that are left aside.

    What cannot be read is listed too: opening it says why. Tables that ``scripts.predict`` has written are none.

    Args:
        format_name: ``csv``, a format, or None: by the names of the files, ``csv`` where they are of no format.
        options: of the format, such as ``sensor``.
        settings: of plain tables.
    """
    remarks: list[str] = []
    found: list[tuple[str, Path, tuple[Path, ...], Callable[[], Reading]]] = []  # name, folder above, files, open
    for path in paths:
        if not path.exists():
            found.append((_stem(path), path.parent, (path,), partial(_fail, "missing_file", f"{path}: does not exist")))
            continue
        name = format_name or _format_of(path, remarks)
        if name == "csv":
            files = [path] if path.is_file() else _tables(path)
            found += [(_stem(file), file.parent, (file,), partial(open_plain, file, settings)) for file in files]
            if not files:
                message = f"{path}: holds no recording ({', '.join(PLAIN[:2])}, or a format that --format names)"
                found.append(
                    (id_from(path.resolve().name), path.parent, (path,), partial(_fail, "no_recording", message))
                )
        else:
            found += _of_format(path, name, options, settings)
    return _named(found), remarks


def _of_format(path: Path, name: str, options: Mapping[str, Any], settings: PlainSettings) -> list:
    """Recordings of a folder or file, also where the layout of the format begins in a folder above it."""
    how, problem, lost = FORMATS[name], f"{path}: holds no recording of format {name}", []
    for folder in [*([path] if path.is_dir() else []), *list(path.resolve().parents)[:_ABOVE]]:
        for kept in _options(how, path, options, settings.missing_gyro):
            try:
                listed = how.find(folder, **kept)
            except FileNotFoundError as error:
                problem = str(error) if folder == path else problem
                continue
            here = [s for s in listed.sources if any(_within(file, path) for file in s.files)]
            sources = [s for s in here if path.is_file() or not _of_predict(s.files[0])]
            rows = [(s.id, s.files[0].parent, s.files, partial(_open, s, name, settings)) for s in sources]
            if folder == path:
                lost = [(r.id, folder, (path / r.id,), partial(_fail, r.reason, r.detail)) for r in listed.rejected]
                rows += lost if rows else []
            if rows:
                return rows
    return lost or [(_stem(path), path.parent, (path,), partial(_fail, "no_recording", problem))]


def _options(
    how: ModuleType | Described, path: Path, options: Mapping[str, Any], missing_gyro: str
) -> Iterator[dict[str, Any]]:
    """Settings of a format; of a file whose sensor is not said also those that take its other sensors."""
    kept = {key: options.get(key) for key in how.OPTIONS}
    table = how.table if isinstance(how, Described) else options.get("table")
    every = [kept]
    if path.is_file() and table is not None and kept.get("sensor") is None:
        every += [kept | {"sensor": [sensor]} for sensor in read_yaml(table).get("sensors", {})]
    for one in every:
        if missing_gyro == "zeros" and "missing_gyro" in one:
            without = any(of.gyro is None for of in descriptions(table, one["sensor"]).values())
            one |= {"missing_gyro": "zeros" if without else None}
        yield one


def _within(file: Path, path: Path) -> bool:
    """Whether a file is another, or lies in it."""
    return file.resolve().is_relative_to(path.resolve())


def _open(source: Source, name: str, settings: PlainSettings) -> Reading:
    try:
        return open_source(source, name, settings.time_zone, settings.start)
    except OSError as error:
        raise BadRecording("unreadable_file", f"{error}: see to it that it can be read") from error


def _fail(reason: str, message: str) -> Reading:
    raise BadRecording(reason, message)


def _format_of(path: Path, remarks: list[str]) -> str:
    """The format that names of files tell; of a folder that of most, and a remark on tables of other names."""
    if path.is_file():
        return _by_name(path)
    kinds = Counter(_by_name(file) for file in path.rglob("*") if file.is_file())
    known = [name for name, _ in kinds.most_common() if name != "csv"]
    if not known:
        return "csv"
    tables = _tables(path)
    if kinds[known[0]] < sum(_by_name(file) == "csv" for file in tables):
        remarks.append(f"{path}: read as plain tables; {kinds[known[0]]} files have names of --format {known[0]}")
        return "csv"
    others = sum(_by_name(file) != known[0] for file in tables)
    if others:
        remarks.append(f"{path}: read as {known[0]}; {others} tables of other names are left aside (--format csv)")
    return known[0]


def _by_name(path: Path) -> str:
    return next((known for known, looks in BY_NAME.items() if looks.fullmatch(path.name)), "csv")


def _tables(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name.lower().endswith(PLAIN))
    return sorted(file for file in files if not _of_predict(file))


def _of_predict(file: Path) -> bool:
    """Whether ``scripts.predict`` or ``scripts.collate`` wrote a table, by their names and the summaries beside it."""
    if file.name == "summaries.csv":
        return any(file.parent.rglob("*-summary.json"))
    written = _PREDICTED.fullmatch(file.name)
    return written is not None and file.with_name(f"{written['name']}-summary.json").is_file()


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return id_from(name.rpartition(".")[0] or name or "recording")


def _named(found: list) -> list[Listed]:
    """Names that differ, also where case does not count: of several the folder above comes first, then a number."""
    counts = Counter(name.lower() for name, *_ in found)
    named, taken = [], set()
    for name, folder, files, opener in found:
        if counts[name.lower()] > 1:
            name = id_from(folder.resolve().name or "root", name)
        base, number = name, 2
        while name.lower() in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name.lower())
        named.append(Listed(name, files, opener))
    return named
