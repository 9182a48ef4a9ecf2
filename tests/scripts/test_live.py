"""A classifier on a stream: the answers of a file, whatever comes when."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.streaming import SignalStream, WindowCutter
from scripts.live import COLUMNS, Live, read_lines, stream_stdin
from tests.classifiers import small_classifier

KEYS = "start_s", "activity", "sit", "walk", "turn", "unlike"


@pytest.fixture(scope="module")
def classifier():
    return small_classifier()


def movement(seconds, rate_hz=100.0, gap=(40.0, 45.0)):
    """(N, 7) time, acceleration, angular rate."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    rng = np.random.default_rng(0)
    tones = np.sin(2 * np.pi * rng.uniform(0.3, 3, 6) * time_s[:, None] + rng.uniform(0, 6, 6))
    loud = 1 + np.sin(2 * np.pi * time_s / 20)[:, None]
    rows = np.column_stack([time_s, loud * tones * [3, 2, 4, 1, 2, 1] + [0, 0, 9.81, 0, 0, 0]])
    return rows[(time_s < gap[0]) | (time_s >= gap[1])]


def of_a_file(classifier, rows, hop_s):
    """Starts and probabilities of all windows, from the whole signal at once."""
    stream, cutter = SignalStream(), WindowCutter(classifier.facts.window_s, hop_s)
    pieces = stream.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + stream.finish()
    start_s, windows = cutter.push(pieces)
    return start_s, classifier.probabilities(windows)


@pytest.mark.parametrize("hop_s, samples", [(1.0, 7), (2.5, 1000), (None, 333)])
def test_answers_are_those_of_a_file(classifier, hop_s, samples):
    rows = movement(70)
    live, answers = Live(classifier, hop_s), []
    for k in range(0, len(rows), samples):
        part = rows[k : k + samples]
        answers += live.push(part[:, 0], part[:, 1:4], part[:, 0], part[:, 4:])
    answers += live.finish()
    start_s, probabilities = of_a_file(classifier, rows, hop_s or 2.5)
    np.testing.assert_allclose([a.start_s for a in answers], start_s, rtol=0, atol=1e-9)
    np.testing.assert_allclose([a.probabilities for a in answers], probabilities, rtol=0, atol=1e-6)
    assert [a.confidence for a in answers] == pytest.approx(probabilities.max(1), abs=1e-6)
    assert not any(35.1 < s < 44.9 for s in start_s) and np.ptp(probabilities, axis=0).max() > 0.05


def test_a_filter_begins_again_after_a_gap(classifier):
    """A filter that counts how many windows of its run it has seen."""

    class Counting:
        seen = 0

        def push(self, probabilities):
            numbers = self.seen + np.arange(len(probabilities))
            self.seen += len(probabilities)
            return np.repeat(numbers[:, None], probabilities.shape[1], axis=1)

    rows, live = movement(70), Live(classifier, 5.0, Counting)
    answers = live.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + live.finish()
    assert [a.probabilities[0] for a in answers] == [*range(8), *range(5)]
    assert all(a.confidence <= 1 for a in answers)


def test_a_clock_that_begins_again_is_answered(classifier):
    """A device that starts anew: its own times, the answers of what follows alone."""
    rows, live = movement(70, gap=(100, 100)), Live(classifier, 5.0)
    rows[3000:, 0] -= rows[3000, 0]
    answers = live.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + live.finish()
    start_s, probabilities = of_a_file(classifier, rows[3000:], 5.0)
    assert [a.start_s for a in answers] == pytest.approx([*np.arange(0, 30, 5), *start_s]) and len(start_s) == 8
    np.testing.assert_allclose([a.probabilities for a in answers[6:]], probabilities, rtol=0, atol=1e-6)


def test_moments_of_a_recording_must_be_given(classifier):
    other = small_classifier()
    other.facts = replace(classifier.facts, normalize="recording")
    with pytest.raises(ValueError, match="mean and std"):
        Live(other)
    rows, moments = movement(30), (torch.ones(6), torch.full((6,), 2.0))
    live = Live(other, 5.0, None, *moments)
    answers = live.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + live.finish()
    windows = WindowCutter(5.0, 5.0)
    stream = SignalStream()
    pieces = stream.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + stream.finish()
    expected = other.probabilities(windows.push(pieces)[1], *moments)
    np.testing.assert_allclose([a.probabilities for a in answers], expected, atol=1e-6)


class Pipe(io.RawIOBase):
    """A pipe whose reader gets these blocks, one at a time."""

    def __init__(self, blocks):
        self.blocks = list(blocks)

    def read1(self, _=-1):
        return self.blocks.pop(0) if self.blocks else b""


def lines(rows, header=True):
    out = io.StringIO()
    table = csv.writer(out)
    if header:
        table.writerow(COLUMNS)
    table.writerows(rows.tolist())
    return out.getvalue().encode()


def answered(classifier, blocks, **options):
    sink = io.StringIO()
    stream_stdin(Live(classifier, 1.0), Pipe(blocks), sink, **options)
    return list(csv.DictReader(io.StringIO(sink.getvalue())))


@pytest.mark.parametrize("header", [True, False])
def test_a_pipe_gives_what_a_file_gives(classifier, header):
    rows = movement(60)
    text = lines(rows, header)
    table = answered(classifier, [text[k : k + 1777] for k in range(0, len(text), 1777)])
    start_s, probabilities = of_a_file(classifier, rows, 1.0)
    assert tuple(table[0]) == KEYS
    np.testing.assert_allclose([float(row["start_s"]) for row in table], start_s, atol=6e-4)
    np.testing.assert_allclose([[float(row[c]) for c in KEYS[2:5]] for row in table], probabilities, atol=1e-6)
    assert [row["activity"] for row in table] == [KEYS[2:5][k] for k in probabilities.argmax(1)]


def test_units_columns_and_threshold_of_a_pipe(classifier):
    rows = movement(30)
    plain = answered(classifier, [lines(rows)])
    scaled = rows / ([1e-3] + [9.80665] * 3 + [np.pi / 180] * 3)
    names = ["x", "stamp", *"abcdef"]
    text = lines(np.column_stack([rows[:, :1] * 0, scaled]), header=False)
    units = {"acc_unit": "g", "gyro_unit": "deg/s", "time_unit": "ms"}
    other = answered(classifier, [(",".join(names) + "\n").encode() + text], columns=names[1:], **units)
    for key in KEYS[2:5]:
        np.testing.assert_allclose([float(r[key]) for r in other], [float(r[key]) for r in plain], atol=2e-6)
    assert {row["activity"] for row in answered(classifier, [lines(rows)], threshold=1.0)} == {"unknown"}


def test_an_answer_is_written_as_soon_as_it_is_known(classifier):
    """Before the pipe brings more."""
    rows = movement(30, gap=(100, 100))
    sink, written = io.StringIO(), []

    class Timed(Pipe):
        def read1(self, _=-1):
            written.append(sink.getvalue().count("\n"))
            return super().read1()

    stream_stdin(Live(classifier, 1.0), Timed(lines(part, False) for part in np.split(rows, 30)), sink)
    assert written[20] - written[19] == 1 and written[20] == 1 + 20 - 5  # 20 s, of which the last 0.6 are held


@pytest.mark.parametrize(
    "text, message",
    [
        (b"time,ax,ay\n", "line 1: has no column az, gx, gy, gz"),
        (b"0,1,2,3,4,5,6\n0.1,1,2,x,4,5,6\n", "line 2"),
        (b"0,1,2,3,4,5,6\n\n0.1,1,2\n", "line 3"),
    ],
)
def test_a_line_that_is_no_sample_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        list(read_lines(Pipe([text])))


@pytest.mark.parametrize(
    "stamp", ["11/22/2026 03:04:05.12 PM", "03/04/2026 10:00", "2026-11-22T10:00:00", "3:04:05 PM"]
)
@pytest.mark.parametrize("before", ["", "time,ax,ay,az,gx,gy,gz\n", "0,1,2,3,4,5,6\n"])
def test_dates_of_a_pipe_are_refused(stamp, before):
    """With the line, the value and the remedy."""
    text = f"{before}{stamp},1,2,3,4,5,6\n".encode()
    with pytest.raises(ValueError, match=f"line {1 + bool(before)}: .*{stamp}.*--time_unit s, ms.*files"):
        list(read_lines(Pipe([text])))


@pytest.mark.parametrize("last", [b"0.2,1,2,3,4", b"0.2,1,2,3,4,5,-"])
def test_a_cut_last_line_is_a_missing_sample(last):
    rows = np.concatenate(list(read_lines(Pipe([b"0,1,2,3,4,5,6\n", last]))))
    assert rows[0].tolist() == [0, 1, 2, 3, 4, 5, 6] and len(rows) == 2 and np.isnan(rows[1]).all()


def test_samples_before_a_bad_line_are_given_out():
    reader = read_lines(Pipe([b"0,1,2,3,4,5,6\n0.1,x\n"]))
    assert next(reader).shape == (1, 7)
    with pytest.raises(ValueError, match="line 2"):
        next(reader)


def test_columns_by_number():
    (rows,) = read_lines(Pipe([b"9,6,5,4,3,2,1,0\n"]), ["8", "7", "6", "5", "4", "3", "2"])
    assert rows.tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    for wrong in "09":
        with pytest.raises(ValueError, match="columns 1 to 8"):
            list(read_lines(Pipe([b"9,6,5,4,3,2,1,0\n"]), [wrong, "7", "6", "5", "4", "3", "2"]))


def test_default_hop_is_whole_samples():
    live, rows = Live(small_classifier(window_s=2.5)), movement(20)
    answers = live.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + live.finish()
    assert answers[1].start_s - answers[0].start_s == pytest.approx(1.24) == live.hop_s


def test_empty_cells_are_missing_values():
    rows = np.concatenate(list(read_lines(Pipe([b"0,1,2,3,,5,6\n0.1,1,2,3,4,5,6"]))))
    assert rows.shape == (2, 7) and np.isnan(rows[0, 4]) and np.isfinite(rows[1]).all()
