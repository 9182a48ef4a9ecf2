"""The recordings among the files and folders that a user names."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from configs.load import read_yaml
from datasets.formats import FORMATS
from datasets.formats.common import id_from
from datasets.formats.table import Described, descriptions, find_files
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
PACKED = (".zip", ".xlsx", ".xls")
_SHOWN = 10  # names in a remark
Row = tuple[str, Path, tuple[Path, ...], Callable[[], Reading]]  # name, folder above, files, open


def find(
    paths: Sequence[Path], format_name: str | None, options: Mapping[str, Any], settings: PlainSettings
) -> tuple[list[Listed], list[str]]:
    """List the recordings, each with a name of its own, and remarks on files that are left aside.

    What cannot be read is listed too: opening it says why. Tables that ``scripts.predict`` has written are none.

    Args:
        format_name: ``csv``, a format, or None: each file by its name, ``csv`` where it tells no format.
        options: of the format, such as ``sensor``.
        settings: of plain tables.
    """
    remarks: list[str] = []
    found: list[Row] = []
    for path in paths:
        if not path.exists():
            found.append((_stem(path), path.parent, (path,), partial(_fail, "missing_file", f"{path}: does not exist")))
            continue
        if path.is_dir() and (packed := _shown(path, PACKED)):
            remarks.append(f"{path}: not read, unpack them or save them as CSV: {packed}")
        if format_name == "csv":
            here = [_plain(file, settings) for file in ([path] if path.is_file() else _tables(path))]
        elif format_name is not None:
            rows, lost, problem = _of_format(path, format_name, options, settings, remarks)
            here = rows or lost or [_failed(path, problem)]
        else:
            here = _by_names(path, options, settings, remarks)
        message = f"{path}: holds no recording ({', '.join(PLAIN[:2])}, or a format that --format names)"
        found += here or [_failed(path, message)]
    return _named(found), remarks


def _by_names(path: Path, options: Mapping[str, Any], settings: PlainSettings, remarks: list[str]) -> list[Row]:
    """Each file by the format that its name tells, as a plain table where it tells none, or not the layout it is in."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        kinds[_by_name(file)].append(file)
    tables = kinds.pop("csv", []) if path.is_file() else _tables(path, kinds.pop("csv", []))
    found: list[Row] = []
    for name, of_kind in kinds.items():
        above = _ABOVE if len(kinds) == 1 else 0  # no layout begins above a folder of several formats
        rows, lost, problem = _of_format(path, name, options, settings, remarks, above)
        if not rows and not lost and isinstance(FORMATS[name], Described):
            remarks.append(f"{path}: read as plain tables, since they lie not as in {name}: {_listing(of_kind)}")
            rows = [_plain(file, settings) for file in of_kind]
        elif isinstance(FORMATS[name], Described):
            taken = {file.resolve() for _, _, its, _ in rows for file in its}
            if others := [file for file in of_kind if file.resolve() not in taken]:
                remarks.append(f"{path}: left aside, of another --sensor or layout of {name}: {_listing(others)}")
        found += rows or lost or [_failed(file, problem) for file in of_kind]
    if len(kinds) == 1 and path.is_dir() and (lists := [file for file in tables if not _has_columns(file, settings)]):
        remarks.append(f"{path}: left aside, no columns of a recording (--format csv reads them): {_listing(lists)}")
        tables = [file for file in tables if file not in lists]
    return found + [_plain(file, settings) for file in tables]


def _has_columns(file: Path, settings: PlainSettings) -> bool:
    """Whether a table beside recordings of a format is one; a published dataset has lists of its own."""
    try:
        open_plain(file, settings)
    except BadRecording as error:
        return error.reason != "missing_column"
    return True


def _of_format(
    path: Path,
    name: str,
    options: Mapping[str, Any],
    settings: PlainSettings,
    remarks: list[str],
    above: int = _ABOVE,
) -> tuple[list[Row], list[Row], str]:
    """Recordings of a folder or file, also where the layout of the format begins in a folder above it.

    Described tables are also read where the layout has no place for them: with ``table`` the user says what they are.

    Returns:
        What it holds, with what was refused beside it; what was refused where it holds nothing; why it holds nothing.
    """
    how, lost = FORMATS[name], []
    problem = f"{path}: holds no recording of format {name}: give the folder as {name} has it"
    more = {"signal_only": True} if name == "table" or isinstance(how, Described) else {}
    for folder in [*([path] if path.is_dir() else []), *list(path.resolve().parents)[:above]]:
        for kept in _options(how, path, options, settings.missing_gyro):
            try:
                listed = how.find(folder, **kept, **more)
            except FileNotFoundError as error:
                problem = str(error) if folder == path else problem
                continue
            here = [s for s in listed.sources if any(_within(file, path) for file in s.files)]
            sources = [s for s in here if path.is_file() or not _of_predict(s.files[0])]
            rows = [(s.id, s.files[0].parent, s.files, partial(_open, s, name, settings)) for s in sources]
            if folder == path:
                lost = [(r.id, folder, (path / r.id,), partial(_fail, r.reason, r.detail)) for r in listed.rejected]
                rows += lost if rows else []
            if rows and name == "table" and path.is_dir():
                taken = {file.resolve() for _, _, files, _ in rows for file in files}
                aside = [file for file in _tables(path, like=rows[0][2][0]) if file.resolve() not in taken]
                remarks += [f"{path}: {len(aside)} tables fit no files of the description, left aside"] if aside else []
            if rows:
                return rows, [], ""
    if name == "table" and not lost:
        files = [path] if path.is_file() else _tables(path, like=Path(read_yaml(options["table"]).get("files", "")))
        (kept, *_) = _options(how, path, options, settings.missing_gyro)
        sources = find_files(files, **kept)
        return [(s.id, s.files[0].parent, s.files, partial(_open, s, name, settings)) for s in sources], [], problem
    return [], lost, problem


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


def _plain(file: Path, settings: PlainSettings) -> Row:
    return _stem(file), file.parent, (file,), partial(open_plain, file, settings)


def _failed(path: Path, message: str) -> Row:
    name = id_from(path.resolve().name) if path.is_dir() else _stem(path)
    return name, path.parent, (path,), partial(_fail, "no_recording", message)


def _shown(folder: Path, endings: tuple[str, ...]) -> str:
    files = (file for file in folder.rglob("*") if file.name.lower().endswith(endings) and file.is_file())
    return _listing(sorted(files))


def _listing(files: Sequence[Path]) -> str:
    """Names, of many the first."""
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(file.name for file in files[:_SHOWN]) + more


def _by_name(path: Path) -> str:
    return next((known for known, looks in BY_NAME.items() if looks.fullmatch(path.name)), "csv")


def _tables(folder: Path, files: Iterable[Path] | None = None, like: Path | None = None) -> list[Path]:
    """Tables among these files, or in a folder, that ``scripts.predict`` has not written.

    Args:
        like: a file whose ending they have; default: those of plain tables.
    """
    ending = "" if like is None else Path(like.name.removesuffix(".gz")).suffix.lower()
    endings = (ending, f"{ending}.gz") if ending else PLAIN
    files = folder.rglob("*") if files is None else files
    tables = (file for file in files if file.is_file() and file.name.lower().endswith(endings))
    return sorted(file for file in tables if not _of_predict(file))


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
