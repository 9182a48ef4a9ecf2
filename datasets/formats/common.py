"""What the formats share: names, the layout of a folder, patterns of paths, labels of stretches."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from configs.table import PART
from datasets.clock_restart import restarts
from datasets.recording import MAX_ID_LENGTH, Found, Rejection, Segment, Source

# Listed in an index of the raw dataset but not on this disk: people hold parts of the large datasets.
NOT_ON_DISK = "not_on_disk"
NO_IMU = "no_imu"  # of videos that the raw dataset's own index says so of
NO_LOSS = (NOT_ON_DISK, NO_IMU)  # reasons that say nothing against the recordings that are there
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are no UTF-8
_TOKEN = re.compile(r"(\{[^{}]+\}|\*\*/|\*)")  # of a pattern of paths


def need_folder(folder: Path, remedy: str) -> Path:
    """Check that a folder of the layout exists.

    Raises:
        FileNotFoundError: naming it and the remedy.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: {remedy}")
    return folder


def need_file(file: Path, remedy: str) -> Path:
    """Check that a file of the layout exists.

    Raises:
        FileNotFoundError: naming it and the remedy.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: {remedy}")
    return file


def id_from(*words: str) -> str:
    """An id from names that people gave their files: what may not stand in a file name becomes ``_``."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(words))
    return text if text[:1].isalnum() else f"r{text}"


def with_usable_names(raw: Path, found: Found) -> Found:
    """Refuse sources that tables cannot name, or that cannot be told from another: each costs itself alone.

    Of several with one id the first keeps it. ``x_part2`` gives way to ``x``, whose second part would be called so.

    Args:
        raw: folder that was listed; names of files count from there.
    """
    ids = {source.id for source in found.sources}
    kept: dict[str, Source] = {}
    rejected = list(found.rejected)
    for source in found.sources:
        name = ", ".join(str(path).removeprefix(f"{raw}/") for path in source.files)
        whole = re.sub(r"_part\d+$", "", source.id)
        if _NO_TEXT.search(name):
            reason, says = "unreadable_name", "its name holds control characters, or is not UTF-8"
        elif len(source.id) > MAX_ID_LENGTH:
            reason, says = "long_id", f"its id has {len(source.id)} characters, want {MAX_ID_LENGTH} at most"
        elif source.id in kept:
            first = ", ".join(str(path) for path in kept[source.id].files)
            reason, says = "same_id", f"its id {source.id} is that of {first}, too"
        elif whole != source.id and whole in ids:
            reason, says = "same_id", f"its id {source.id} would be that of a part of {whole}"
        else:
            kept[source.id] = source
            continue
        rejected.append(Rejection(source.id[:MAX_ID_LENGTH], reason, f"{name}: {says}; rename it"))
    return replace(found, sources=tuple(kept.values()), rejected=tuple(rejected))


def match_paths(folder: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files below ``folder`` that fit, sorted, with what the parts say.

    ``*`` and ``{name}`` stand for any text without a slash (a name for at least one character, and for the same text
    wherever it stands); ``{name:S\\d+}`` for what the regular expression allows; ``**/`` for any number of folders. A
    file may also have ``.gz`` after what the pattern says.
    """
    wildcard, expression = "", ""
    for token in _TOKEN.split(pattern):
        if token == "**/":
            wildcard, expression = wildcard + token, expression + "(?:.*/)?"
        elif token == "*":
            wildcard, expression = wildcard + token, expression + "[^/]*"
        elif part := PART.fullmatch(token):
            name, looks = part[1], part[2] or "[^/]+?"
            wildcard += "*"
            expression += f"(?P={name})" if f"(?P<{name}>" in expression else f"(?P<{name}>{looks})"
        else:
            wildcard, expression = wildcard + glob.escape(token), expression + re.escape(token)
    for path in sorted({*folder.glob(wildcard), *folder.glob(f"{wildcard}.gz")}):
        found = re.fullmatch(f"{expression}(?:\\.gz)?", path.relative_to(folder).as_posix())
        if found and not path.is_dir():  # a link that leads nowhere is named later
            yield path, found.groupdict()


def fill(pattern: str, parts: dict[str, str]) -> str:
    """The pattern with its names replaced; a name that ``parts`` lacks stays."""
    return PART.sub(lambda name: parts.get(name[1], name[0]), pattern)


def sampling_times(arrival_s: np.ndarray) -> np.ndarray:
    """When evenly spaced samples were taken, from stamps of their arrival, some of which are late.

    A sample was taken at least one period before the next one: t_k = min over j >= k of (a_j - (j - k) p). Where
    samples are missing, the bound is not tight, and the gap stays. The period p is 2 % shorter than the usual distance
    of stamps, so that an error in it cannot add up. Where the clock has begun again, so does this.

    Args:
        arrival_s: (N,) float64 in the order of sampling, NaN where unknown.
    """
    if len(again := restarts(arrival_s)):
        return np.concatenate([sampling_times(stretch) for stretch in np.split(arrival_s, again)])
    timed = np.flatnonzero(np.isfinite(arrival_s))
    if len(timed) < 3:
        return arrival_s
    apart = min(100, len(timed) // 2)
    arrived = arrival_s[timed]
    steps = 0.98 * np.median(arrived[apart:] - arrived[:-apart]) / apart * np.arange(len(timed))
    out = np.full(len(arrival_s), np.nan)
    out[timed] = np.minimum.accumulate((arrived - steps)[::-1])[::-1] + steps
    return out


def segments_of(time_s: np.ndarray, labels: Sequence[str]) -> tuple[Segment, ...]:
    """Stretches of one label, each up to the first sample of the next; the last ends one period after its sample.

    Samples without a time say nothing, and the others count in the order of their times.

    Args:
        time_s: (N,) float64, NaN where unknown.
        labels: (N,) one per sample; samples whose label is empty belong to no stretch.
    """
    timed = np.flatnonzero(np.isfinite(time_s))
    order = timed[np.argsort(time_s[timed], kind="stable")]
    if len(order) < 2:
        return ()
    time_s, names = time_s[order], np.array(labels, dtype=object)[order]
    starts = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1])
    ends = np.append(time_s[starts[1:]], time_s[-1] + np.median(np.diff(time_s)))
    return tuple(
        Segment(float(time_s[start]), float(end), str(names[start]))
        for start, end in zip(starts, ends, strict=True)
        if names[start]
    )
