"""Shares of the recordings: balanced, the same for everybody, and together the whole dataset."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from configs.data import PrepareConfig
from configs.load import build
from datasets.preparation.shards import digest, share_of
from datasets.recording import Source
from datasets.store import Store
from scripts import prepare
from tests.mmea import contents, write_mmea

ROOT = Path(__file__).resolve().parents[3]


def sized_sources(folder, sizes):
    for k, size in enumerate(sizes):
        (folder / f"{k}.bin").write_bytes(bytes(int(size)))
    return [Source(f"r{k}", (folder / f"{k}.bin",), None) for k in range(len(sizes))]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_every_source_is_in_one_shard_and_shards_weigh_the_same(tmp_path, count):
    sizes = np.random.default_rng(0).pareto(1.5, 60) * 1000 + 1
    sources = sized_sources(tmp_path, sizes)
    shards = [share_of(sources, f"{k}/{count}") for k in range(1, count + 1)]
    assert sorted(s.id for shard in shards for s in shard) == sorted(s.id for s in sources)
    loads = [sum(s.files[0].stat().st_size for s in shard) for shard in shards]
    best = max(max(sizes), sum(sizes) / count)  # nobody can do better than this
    assert max(loads) <= 4 / 3 * best
    shuffled = [sources[k] for k in np.random.default_rng(1).permutation(60)]
    assert [s.id for s in share_of(shuffled, f"1/{count}")] == [s.id for s in shards[0]]


def test_the_greedy_shares_are_those_worked_out_by_hand(tmp_path):
    sources = sized_sources(tmp_path, [70, 60, 50, 40, 30, 20])
    ids = [[s.id for s in share_of(sources, f"{k}/2")] for k in (1, 2)]
    assert ids == [["r0", "r3", "r4"], ["r1", "r2", "r5"]]  # 70 | 60, 60+50 | 70+40, 110+30 | 110+20


def test_files_without_bytes_are_spread_too(tmp_path):
    sources = sized_sources(tmp_path, [0] * 12)
    assert [len(share_of(sources, f"{k}/4")) for k in range(1, 5)] == [3, 3, 3, 3]
    assert [len(share_of(sources, f"{k}/20")) for k in range(1, 21)] == [1] * 12 + [0] * 8


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = write_mmea(tmp_path_factory.mktemp("shards") / "raw", 8)
    (folder / "video/1_upstairs/1_upstairs_2021_01_01_15_02_01.mp4").write_bytes(b"")  # something to reject
    return folder


def arguments(raw, out, *more):
    return ["--format", "mmea", "--raw", str(raw), "--out", str(out), "--frame_size", "64", "--num_workers", "1", *more]


@pytest.fixture(scope="module")
def whole(raw):
    prepare.main(arguments(raw, raw.parent / "whole"))
    return contents(raw.parent / "whole")


def test_three_shards_at_once_give_the_dataset_of_one_call(raw, whole, tmp_path):
    command = [sys.executable, "-m", "scripts.prepare", *arguments(raw, tmp_path / "out")]
    jobs = [
        subprocess.Popen([*command, "--shard", f"{k}/3"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for k in (1, 2, 3)
    ]
    outputs = [job.communicate()[0].decode() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert sum("hours" in text for text in outputs) >= 1  # the last one shows the summary; two may end at once
    assert contents(tmp_path / "out") == whole


def test_the_dataset_opens_with_the_last_shard_or_by_a_closing_call(raw, whole, tmp_path, capsys):
    out = tmp_path / "out"
    for shard, missing in (("2/3", "1, 3"), ("1/3", "3")):
        prepare.main(arguments(raw, out, "--shard", shard))
        assert f"the dataset opens when {missing} are" in capsys.readouterr().out
        assert not (out / "dataset.json").exists()
    prepare.main(arguments(raw, out))
    assert " 0 prepared" not in capsys.readouterr().out
    assert contents(out) == whole


def test_shards_of_other_settings_or_other_files_do_not_count(raw, whole, tmp_path, capsys):
    out = tmp_path / "out"
    for k in (1, 2, 3):
        prepare.main(arguments(raw, out, "--shard", f"{k}/3", "--jpeg_quality", "50"))
    capsys.readouterr()
    assert Store(out).info["settings"]["jpeg_quality"] == 50
    prepare.main(arguments(raw, out, "--shard", "1/3"))  # changes files that the tables speak of
    assert "opens when 2, 3 are" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="has not ended"):
        Store(out)
    for k in (2, 3):
        prepare.main(arguments(raw, out, "--shard", f"{k}/3"))
    assert contents(out) == whole
    csv = sorted(raw.glob("sensor/*/*"))[0]
    status = csv.stat()
    os.utime(csv, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    prepare.main(arguments(raw, out, "--shard", "1/3"))
    assert "opens when 2, 3 are" in capsys.readouterr().out


def test_a_new_round_waits_for_all_of_its_shards(raw, whole, tmp_path, monkeypatch, capsys):
    out, prepare_all = tmp_path / "out", prepare.prepare_all
    for k in (1, 2):
        prepare.main(arguments(raw, out, "--shard", f"{k}/2"))
    live = [out / ".journal" / "a.started", *(out / name / f"{k}.tmp" for k, name in enumerate(("imu", "frames")))]

    def during(task, sources, workers):  # while the second shard works, the first one of this round ends
        monkeypatch.setattr(prepare, "prepare_all", prepare_all)
        for path in live:
            path.write_bytes(b"of a process that is at work")
        prepare.main(arguments(raw, out, "--shard", "1/2"))
        assert "opens when 2 are" in capsys.readouterr().out
        prepare.main(arguments(raw, out))  # even a call that closes leaves alone what others are writing
        assert all(path.is_file() for path in live)
        return prepare_all(task, sources, workers)

    monkeypatch.setattr(prepare, "prepare_all", during)
    prepare.main(arguments(raw, out, "--shard", "2/2"))
    for path in live:
        path.unlink()
    assert contents(out) == whole


def later(raw, come):
    """The last recording of the raw folder comes, or has not come yet."""
    for kind, suffix in (("sensor", ".csv"), ("video", ".mp4")):
        for path in raw.glob(f"{kind}/2_downstairs/*_07_01{suffix}{'.later' if come else ''}"):
            path.rename(path.with_suffix("") if come else f"{path}.later")


def test_a_recording_that_comes_while_another_call_closes_is_kept(raw, whole, tmp_path, monkeypatch, capsys):
    """The closing call does not know it: to that call it looks like one that has vanished."""
    shutil.copytree(raw, tmp_path / "raw")
    raw, out, close = tmp_path / "raw", tmp_path / "out", prepare.close
    later(raw, come=False)
    for k in (1, 2):
        prepare.main(arguments(raw, out, "--shard", f"{k}/2"))

    def slowly(*given):
        monkeypatch.setattr(prepare, "close", close)
        later(raw, come=True)
        for k in (1, 2):  # of the next round
            prepare.main(arguments(raw, out, "--shard", f"{k}/2"))
        assert contents(out) == whole
        close(*given)

    monkeypatch.setattr(prepare, "close", slowly)
    prepare.main(arguments(raw, out, "--shard", "1/2"))
    with pytest.raises(FileNotFoundError, match="has not ended"):  # the tables of the older round lie there now
        Store(out)
    capsys.readouterr()
    prepare.main(arguments(raw, out))
    assert "0 prepared, 7 kept from before, 1 left out" in capsys.readouterr().out
    assert contents(out) == whole


def test_the_digest_follows_files_settings_parser_and_version(tmp_path, monkeypatch):
    (file := tmp_path / "a.csv").write_text("1")
    marks = {digest([Source("r", (file,), partial(print, label))], {"size": s}) for label in "xy" for s in (1, 2)}
    assert len(marks) == 4 and digest([Source("r", (file,), partial(print, "x"))], {"size": 1}) in marks
    monkeypatch.setattr("datasets.preparation.shards.VERSION", -1)
    assert digest([Source("r", (file,), partial(print, "x"))], {"size": 1}) not in marks


def test_more_shards_than_recordings(raw, whole, tmp_path):
    for k in range(1, 11):
        prepare.main(arguments(raw, tmp_path / "out", "--shard", f"{k}/10"))
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/3/3", "a/b", "-1/3"])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(ValueError, match="shard"):
        build(PrepareConfig, {"format": "pd", "raw": "x", "out": "y", "shard": shard}, "flags")
