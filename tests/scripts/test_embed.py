"""Embeddings as a table: those of the right windows, at the right times, of recordings and of datasets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from configs.predict import SHIPPED
from datasets.store import open_store
from datasets.streaming import SignalStream, WindowCutter
from datasets.windows import list_windows
from models import load_classifier, load_imu_encoder
from models.classifier import save_classifier
from scripts import embed
from tests.classifiers import small_classifier
from tests.predicting import samples, write_csv
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint
from utils.checkpoint import CheckpointError


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("embed")
    store = write_dataset(root / "data" / "toy", ["sit", "walk"] * 3, seconds=22, video=False)
    write_checkpoint(root / "last.pt", store)
    for normalize in ("dataset", "recording"):
        save_classifier(root / normalize, small_classifier(normalize=normalize), "card")
    for number, name in enumerate(("one", "two")):
        write_recording(root / f"{name}.csv", number)
    return root


def write_recording(path, seed):
    """40 s at 100 Hz with a gap, as a device writes it: in g and degrees a second."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(4000) / 100
    waves = np.sin(2 * np.pi * rng.uniform(0.5, 3, 6) * time_s[:, None])
    table = pd.DataFrame(
        np.column_stack([time_s, waves * [0.2, 0.1, 0.3, 60, 40, 80] + [0, 0, 1, 0, 0, 0]]),
        columns=["time", "ax (g)", "ay (g)", "az (g)", "gx (deg/s)", "gy (deg/s)", "gz (deg/s)"],
    )
    table[(time_s < 18) | (time_s > 20)].to_csv(path, index=False)


def run(world, out, *words):
    path = world / out
    assert (
        embed.main([*map(str, words), "--out", str(path), "--data_root", str(world / "data"), "--device", "cpu"]) == 0
    )
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, keep_default_na=False)


def values(table):
    return table[[name for name in table if name.startswith("e") and name[1:].isdigit()]].to_numpy()


def test_embeddings_of_a_dataset(world):
    table = run(world, "toy.csv", "--checkpoint", world / "last.pt", "--datasets", "toy", "--hop_s", 2.5)
    encoder, training = load_imu_encoder(world / "last.pt")
    windows = list_windows(open_store(world / "data", "toy"), stride_s=2.5)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(windows.imu(np.arange(len(windows)), training.normalize)))
    np.testing.assert_allclose(values(table), expected, rtol=1e-5, atol=1e-5)
    assert list(table)[:5] == ["dataset", "recording", "start_s", "label", "e0"]
    assert table["recording"].nunique() == 6 and set(table["label"]) == {"sit", "walk"} and len(table) == len(windows)
    assert table["start_s"][:3].tolist() == [0, 2.5, 5]


@pytest.mark.parametrize("model", ["dataset", "recording"])
@pytest.mark.parametrize("out", ["x.parquet", "x.csv.gz"])
def test_embeddings_of_recordings(world, model, out, monkeypatch):
    """Two files, whatever number of windows is written at a time."""
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install -r requirements-dev.txt")
    monkeypatch.setattr(embed, "WINDOWS", 2)
    table = run(world, out, world / "one.csv", world / "two.csv", "--checkpoint", world / model, "--hop_s", 1)
    embedder = embed.Embedder(world / model, torch.device("cpu"))
    for name in ("one", "two"):
        raw = pd.read_csv(world / f"{name}.csv").to_numpy() * ([1] + [9.80665] * 3 + [np.pi / 180] * 3)
        stream = SignalStream()
        pieces = stream.push(raw[:, 0], raw[:, 1:4], raw[:, 0], raw[:, 4:]) + stream.finish()
        signal = np.concatenate([piece.imu for piece in pieces]).astype(float)
        moments = torch.from_numpy(signal.mean(0)).float(), torch.from_numpy(signal.std(0)).float()
        start_s, windows = WindowCutter(5.0, 1.0).push(pieces)
        own = table[table["recording"] == name]
        np.testing.assert_allclose(own["start_s"], start_s, atol=1e-6)
        np.testing.assert_allclose(values(own), embedder.of_raw(windows, moments), rtol=1e-3, atol=1e-3)
    assert (table["label"] == "").all() and np.ptp(values(table), axis=0).max() > 0.1


def test_moments_of_a_recording_are_of_worn_time(world, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "NONWEAR_MIN", 1)
    data = samples(240, rate_hz=50, quiet=(60, 180)).round(5)
    write_csv(tmp_path / "a.csv", data)
    table = run(world, "worn.csv", tmp_path / "a.csv", "--checkpoint", world / "recording")
    stream = SignalStream()
    pieces = stream.push(data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:]) + stream.finish()
    signal = np.concatenate([piece.imu for piece in pieces]).astype(float)
    worn = np.delete(signal, slice(60 * 50, 180 * 50), axis=0)
    embedder = embed.Embedder(world / "recording", torch.device("cpu"))
    moments = (torch.from_numpy(of).float() for of in (worn.mean(0), worn.std(0)))
    _, windows = WindowCutter(5.0, 5.0).push(pieces)
    np.testing.assert_allclose(values(table), embedder.of_raw(windows, tuple(moments)), rtol=1e-2, atol=1e-2)


def test_a_bad_recording_costs_itself_alone(world, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("time,ax\n1,2\n")
    words = [tmp_path / "bad.csv", world / "two.csv", "--checkpoint", world / "dataset", "--out", tmp_path / "x.csv"]
    assert embed.main([*map(str, words), "--device", "cpu"]) == 1
    assert "NOT READ bad: missing_axis" in capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "x.csv")["recording"]) == {"two"}


def test_the_order_of_day_and_month_is_asked_for(world, tmp_path, capsys):
    lines = (world / "one.csv").read_text().splitlines()
    dated = [f"03/04/2026 10:00:{float(line.split(',')[0]):06.3f},{line.partition(',')[2]}" for line in lines[1:]]
    (tmp_path / "one.csv").write_text("\n".join([lines[0], *dated]))
    words = [tmp_path / "one.csv", world / "two.csv", "--checkpoint", world / "dataset"]
    assert embed.main([*map(str, words), "--out", str(tmp_path / "x.csv"), "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "one.csv" in said and "03/04/2026 10:00:00.000" in said and "--time_unit dmy" in said
    read = run(world, "dated.csv", words[0], *words[2:], "--time_unit", "dmy")
    plain = run(world, "plain.csv", world / "one.csv", *words[2:])
    start_s = pd.Timestamp("2026-04-03T10:00:00Z").timestamp()
    np.testing.assert_allclose(read["start_s"] - start_s, plain["start_s"], atol=1e-5)
    np.testing.assert_allclose(values(read), values(plain), rtol=1e-3, atol=1e-3)


def test_an_unforeseen_error_costs_one_recording_alone(world, tmp_path, capsys, monkeypatch):
    steps = iter([lambda *_: 1 / 0, embed.Signal])
    monkeypatch.setattr(embed, "Signal", lambda *given: next(steps)(*given))
    words = [world / "one.csv", world / "two.csv", "--checkpoint", world / "dataset", "--out", tmp_path / "x.csv"]
    assert embed.main([*map(str, words), "--device", "cpu"]) == 1
    assert "NOT READ one: ZeroDivisionError" in capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "x.csv")["recording"]) == {"two"}


def test_a_shipped_classifier_and_a_known_format_are_names(world, tmp_path, capsys):
    shipped = embed.Embedder(Path(SHIPPED), torch.device("cpu"))
    assert shipped.window_s == load_classifier(SHIPPED).facts.window_s
    with pytest.raises(CheckpointError, match="there is no folder nobody.*" + SHIPPED):
        embed.Embedder(Path("nobody"), torch.device("cpu"))
    with pytest.raises(CheckpointError, match="absent.pt"):
        embed.Embedder(Path("runs/absent.pt"), torch.device("cpu"))
    for name in ("cvs", "table"):
        with pytest.raises(SystemExit):
            embed.main(["a.csv", "--checkpoint", SHIPPED, "--out", str(tmp_path / "x.csv"), "--format", name])
        assert "format" in capsys.readouterr().err


def test_what_cannot_be_embedded_is_said(world, tmp_path, capsys):
    (tmp_path / "short.csv").write_text("\n".join((world / "one.csv").read_text().splitlines()[:300]))
    with pytest.raises(ValueError, match="no window of 5 s"):
        run(tmp_path, "x.csv", tmp_path / "short.csv", "--checkpoint", world / "dataset")
    assert not (tmp_path / "x.csv").exists()
    with pytest.raises(ValueError, match="no window of 5 s"):
        run(tmp_path, "x.csv", tmp_path / "absent.csv", "--checkpoint", world / "dataset")
    assert "missing_file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="last.pt: z-scores by its dataset"):
        run(tmp_path, "x.csv", world / "one.csv", "--checkpoint", world / "last.pt")
    for words in (["--out", "x.csv"], ["one.csv", "--out", "x.txt"]):
        with pytest.raises(SystemExit):
            embed.main([*words, "--checkpoint", str(world / "last.pt")])


def test_recordings_are_read_by_the_settings_of_predict(world, tmp_path):
    words = [world / "one.csv", "--checkpoint", world / "dataset"]
    expected = run(world, "x.csv", *words)
    bare = pd.read_csv(world / "one.csv").to_numpy()
    plain = write_csv(tmp_path / "one.csv", bare, start_s=0)
    said = ["--acc_unit", "g", "--gyro_unit", "deg/s"]
    pd.testing.assert_frame_equal(run(tmp_path, "x.csv", plain, *words[1:], *said), expected, atol=1e-3, rtol=1e-3)
    (tmp_path / "mine.yaml").write_text(
        "{files: x/*.csv, acc: [ax, ay, az], gyro: [gx, gy, gz], acc_unit: g, gyro_unit: deg/s, time: time, "
        "time_unit: s}"
    )
    said = ["--format", "table", "--table", tmp_path / "mine.yaml"]
    pd.testing.assert_frame_equal(run(tmp_path, "x.csv", plain, *words[1:], *said), expected, atol=1e-3, rtol=1e-3)
    even = run(tmp_path, "x.csv", plain, *words[1:], "--sample_rate", "100", "--csv_columns", "ax,ay,az,gx,gy,gz")
    assert even["start_s"].tolist() == pytest.approx(np.arange(0, 35, 5))  # no gap is seen


def test_columns_are_named_as_for_predict(world, tmp_path, capsys):
    names = pd.read_csv(world / "one.csv", nrows=0).columns
    words = [world / "one.csv", "--checkpoint", world / "dataset", "--csv_columns"]
    expected = run(world, "x.csv", *words[:-1])
    pd.testing.assert_frame_equal(run(tmp_path, "x.csv", *words, ", ".join(names)), expected)
    for count in (5, 6):
        with pytest.raises(SystemExit):
            run(tmp_path, "x.csv", *words, ",".join(names[:count]))
        assert "csv_columns must name" in capsys.readouterr().err
