"""One dataset prepared by several jobs of a batch queue, each of which takes its share of the recordings.

Every job computes the same shares, so that they need not speak to each other. A job takes its mark away when it
begins and leaves one when it has ended; whichever finds the marks of all the others writes the tables. Two that do so
at once write the same.
"""

import hashlib
import heapq
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets.preparation.fingerprint import fingerprint
from datasets.preparation.parallel import source_bytes
from datasets.preparation.source import VERSION
from datasets.recording import Source
from utils.atomic_io import write_text


def parse_shard(shard: str) -> tuple[int, int]:
    """``3/16`` as (3, 16)."""
    number, count = shard.split("/")
    return int(number), int(count)


def share_of(sources: Sequence[Source], shard: str) -> list[Source]:
    """The sources of one shard: all shards have about the same bytes to read.

    Longest first, each goes to the shard with the least so far, which is never more than 4/3 of the best there is
    (Graham 1969, https://doi.org/10.1137/0117039).
    """
    number, count = parse_shard(shard)
    sized = sorted(((source_bytes(source), source.id, source) for source in sources), key=lambda s: (-s[0], s[1]))
    loads = [(0, k) for k in range(1, count + 1)]
    mine = []
    for size, _, source in sized:
        load, least = loads[0]
        # one byte more for each: empty files and lists of nothing but tables are spread too
        heapq.heapreplace(loads, (load + size + 1, least))
        if least == number:
            mine.append(source)
    return mine


def digest(sources: Iterable[Source], settings: dict[str, Any]) -> str:
    """What all shards must have worked on for the dataset to be whole: these files, these settings, this code."""
    told = settings | {"version": VERSION}
    facts = [
        [fingerprint(s, "", told), [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in s.files if p.is_file()]]
        for s in sources
    ]
    return hashlib.sha256(json.dumps(sorted(facts)).encode()).hexdigest()


def mark_begun(out: Path, shard: str) -> None:
    """Take back the mark of an earlier round: until this one ends, nobody may take the dataset for whole."""
    _mark(out, *parse_shard(shard)).unlink(missing_ok=True)


def mark_done(out: Path, shard: str, work: str) -> None:
    """Note that a shard has ended; ``work`` is the ``digest``."""
    write_text(_mark(out, *parse_shard(shard)), work)


def missing_shards(out: Path, shard: str, work: str) -> list[int]:
    """Which of all the shards have not yet ended with the same work."""
    _, count = parse_shard(shard)
    return [k for k in range(1, count + 1) if not _is_done(_mark(out, k, count), work)]


def _is_done(mark: Path, work: str) -> bool:
    return mark.is_file() and mark.read_text(encoding="utf-8") == work


def _mark(out: Path, number: int, count: int) -> Path:
    return out / ".shards" / f"{number}-of-{count}"
