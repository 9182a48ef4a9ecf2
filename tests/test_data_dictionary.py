"""docs/data_dictionary.md names every column and key that the commands write, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

import downstream
import train
import zeroshot
from configs.constants import CHANNELS
from datasets.masking import MEASURES
from datasets.recording import Segment
from datasets.simulation.day import write_day
from scripts import check_sync, embed, embedding_map, export, features, predict, prepare, report
from tests.gpu.report import GpuReport
from tests.mmea import write_mmea
from tests.predicting import samples, write_csv
from tests.prepared import write_dataset
from tests.training import SIZES
from utils.encoder_file import read_encoder
from utils.run import write_json

DICTIONARY = Path(__file__).resolve().parents[1] / "docs" / "data_dictionary.md"
TYPES = {"text": str, "integer": int, "number": (int, float), "boolean": bool, "settings": dict, "value": object}
LINK = re.compile(r"\[.*?\]\(#([\w-]+)\)")


class Entry(NamedTuple):
    """A row of the dictionary: a type, and the commands that write it (all, if the section does not say)."""

    kind: str
    unit: str
    commands: tuple[str, ...]


def slug(heading: str) -> str:
    """The anchor of a heading, without the characters that GitHub leaves out."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def read_dictionary(text: str) -> dict[str, list[tuple[str, Entry]]]:
    """Entries of each section, by the section's anchor."""
    sections = {}
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, *lines = part.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines if line.startswith("|")]
        entries = sections[slug(heading)] = []
        for row in rows[2:]:
            values = dict(zip(rows[0], row, strict=True))
            names = re.findall(r"`(.*?)`", row[0])
            commands = tuple(values.get("commands", "all").split())
            assert names and values["meaning"], f"{heading}: {row} needs a name and a meaning"
            entries += [(name, Entry(values["type"], values["unit"], commands)) for name in names]
    return sections


class Comparison:
    """Compares written files with the dictionary.

    Attributes:
        wrong: what the dictionary lacks, or types that differ.
        seen: (section, name, commands) of the entries that a file has.
    """

    def __init__(self):
        self.sections = read_dictionary(DICTIONARY.read_text(encoding="utf-8"))
        self.wrong: set[str] = set()
        self.seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self.written: set[tuple[str, str, str]] = set()

    def look_up(self, section: str, name: str, command: str) -> Entry | None:
        for known, entry in self.sections[section]:
            if known == name and (entry.commands == ("all",) or command in entry.commands):
                self.seen.add((section, name, entry.commands))
                self.written.add((section, name, command))
                return entry
        self.wrong.add(f"{section} lacks {name} of {command or 'its file'}")
        return None

    def object(self, content: dict[str, Any], section: str, command: str = "") -> None:
        for name, value in content.items():
            if entry := self.look_up(section, name, command):
                self.value(value, entry.kind, f"{section}: {name}")

    def value(self, value: Any, kind: str, where: str) -> None:
        if kind.endswith((" or null", " or empty")) and value is None:
            return
        kind = re.sub(r" or (null|empty)$", "", kind)
        if kind.startswith("list of ") and isinstance(value, list):
            for item in value:
                self.value(item, kind.removeprefix("list of "), where)
        elif (found := re.fullmatch(r"map of (.*?) to (.*)", kind)) and isinstance(value, dict):
            for key, item in value.items():
                if link := LINK.fullmatch(found[1]):
                    self.look_up(link[1], key, "")
                self.value(item, found[2], where)
        elif (link := LINK.fullmatch(kind)) and isinstance(value, dict):
            self.object(value, link[1])
        elif not isinstance(value, TYPES.get(kind, ())) or (kind == "integer" and isinstance(value, bool)):
            self.wrong.add(f"{where} is {type(value).__name__}, not {kind}")

    def json(self, path: Path, section: str, command: str = "") -> None:
        self.object(json.loads(path.read_text(encoding="utf-8")), section, command)

    def csv(self, path: Path, section: str, command: str = "") -> None:
        table = pd.read_csv(path)
        for name, column in table.items():
            name = re.sub(r"^(probability|minutes|imputed_minutes)/.*", r"\1/<class>", name)
            entry = self.look_up(section, name, command)
            if entry is None:
                continue
            kind = entry.kind.removesuffix(" or empty")
            filled = column.dropna()
            numeric = kind == "text" or pd.to_numeric(filled, errors="coerce").notna().all()
            whole = kind != "integer" or (filled == filled.astype(int)).all()
            if not numeric or not whole or (len(filled) < len(column) and kind == entry.kind):
                self.wrong.add(f"{section}: {name} is not {entry.kind}")

    def array(self, path: Path, section: str) -> int:
        """Mark all columns of an array as written; returns how many it has."""
        for name, _ in self.sections[section]:
            self.look_up(section, name, "")
        array = np.load(path)
        return array.shape[1] if array.ndim > 1 else 1

    def names(self, section: str) -> list[str]:
        return [name for name, _ in self.sections[section]]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two prepared datasets and a run of each command."""
    root = tmp_path_factory.mktemp("written")
    raw = write_mmea(root / "raw", 4)
    still = next((raw / "sensor").rglob("*.csv"))
    still.write_text("0,16384,0,0,0,164\n" * 180)  # a row of masked.csv
    next((raw / "video").rglob("2_*.mp4")).unlink()  # a row of rejected.csv
    prepare.main(f"--format mmea --raw {raw} --out {root}/data/mmea --num_workers 1 --frame_size 32".split())
    check_sync.main([f"{root}/data/mmea", "--num_workers", "1"])
    tiny = write_dataset(root / "data" / "tiny", ["walking", "standing"] * 4, frame_size=16)
    write_json(tiny.root / "dataset.json", tiny.info | {"notes": {"licence": "CC-BY-4.0"}})
    write_dataset(root / "data" / "changing", [""], video=False, segments=(Segment(0, 5, "a"), Segment(5, 9, "b")))

    base = f"--data_root {root}/data --runs_root {root}/runs --dataset tiny --device cpu --run_name".split()
    steps = "--batch_size 4 --epochs 1 --log_interval 1".split()
    train.main([*base, "train", *steps, *SIZES])
    several = ["--dataset", "tiny", "changing"]  # the later one stands
    train.main([*base, "imu_only", *steps, *several, "--model", "imu_only", *SIZES[-16:-8]])
    views = "--model imu_contrast --augment_noise 0.1".split()
    train.main([*base, "imu_contrast", *steps, *views, *SIZES[-16:-8]])
    last = ["--checkpoint", f"{root}/runs/train/checkpoints/last.pt"]
    few = "--val_samples 2 --draws 2 --shots 2 11 --small_classes shorten".split()
    select = f"--epochs 1 --select_samples 1 --save_model {root}/classifier".split()
    downstream.main([*base, "downstream", *last, *few, *select])
    features.main([*base, "features", *few, "--val_samples", "12", "--head", "trees", "--num_workers", "1"])
    falls = "--detect walk* --split leave_one_group_out --draws 2 --shots 2 --small_classes shorten".split()
    downstream.main([*base, "detect_downstream", *last, *falls, "--epochs", "1"])
    features.main([*base, "detect_features", *falls, "--head", "trees", "--num_workers", "1"])
    zeroshot.main([*base, "zeroshot", *last, "--prototypes_per_class", "2"])
    picture = f"--data_root {root}/data --device cpu --datasets tiny --out {root}/runs/embed"
    embedding_map.main([*last, *picture.split()])
    values = f"--data_root {root}/data --device cpu --datasets tiny --out {root}/embeddings.csv"
    embed.main([*last, *values.split()])
    table = pd.read_csv(root / "embeddings.csv")
    table.iloc[:, :5].to_csv(root / "embeddings.csv", index=False)
    export.main([*last, "--out", f"{root}/encoder.safetensors"])
    report.main(["--runs", f"{root}/runs", "--out", f"{root}/report"])
    (root / "empty.csv").touch()
    files = [str(write_csv(root / "walk.csv", samples(30))), f"{root}/empty.csv"]
    assert predict.main([*files, "--model", f"{root}/classifier", "--out", f"{root}/predictions"]) == 1
    write_day(root / "day" / "day.csv.gz", root / "day" / "day-labels.csv", hours=0.2, seed=0)
    gpu = GpuReport(root, "cpu", 60)
    gpu.begin("test_one")
    gpu.add("test_one", 0.1, {"windows per second": 1.0}, "")
    return root


def compared(root: Path) -> Comparison:
    """Every file that was written, compared."""
    found = Comparison()
    for dataset in (root / "data").iterdir():
        for path in dataset.glob("*.csv"):
            found.csv(path, slug(path.name))
        found.json(dataset / "dataset.json", "datasetjson")
        for path in (dataset / ".journal").glob("*.json"):
            found.json(path, "journalsourcejson")
    mmea = root / "data" / "mmea"
    for line in (mmea / "sync.jsonl").read_text().splitlines():
        found.object(json.loads(line or "{}"), "syncjsonl")
    (recording, *_) = sorted(path.stem for path in (mmea / "imu").iterdir())
    assert found.array(mmea / "imu" / f"{recording}.npy", "imuidnpy") == len(CHANNELS)
    assert found.array(mmea / "quality" / f"{recording}.npy", "qualityidnpy") == len(MEASURES)
    assert found.array(mmea / "frames" / f"{recording}.idx.npy", "framesididxnpy") == 1
    for notes in pd.read_csv(mmea / "recordings.csv")["notes"]:
        found.object(json.loads(notes), "notes")
    for run in (root / "runs").iterdir():
        alone = run.name in ("imu_only", "imu_contrast")
        command = "train" if alone else run.name.removeprefix("detect_")
        found.json(run / "results.json", "resultsjson", command)
        found.json(run / "environment.json", "environmentjson")
        if (run / "metrics.csv").exists():
            found.csv(run / "metrics.csv", "metricscsv")
            for name in set(pd.read_csv(run / "metrics.csv")["name"]):
                found.look_up("logged-values", name, "")
        if (run / "draws.json").exists():
            found.json(run / "draws.json", "drawsjson")
        if (run / "predictions.csv").exists():
            found.csv(run / "predictions.csv", "predictionscsv", command)
    for run in ("train", "imu_only"):
        last = root / "runs" / run / "checkpoints" / "last.pt"
        found.object(dict(torch.load(last, weights_only=True)), "checkpoints", "pretrain")
    found.json(root / "classifier" / "config.json", "classifier")
    found.object(read_encoder(root / "encoder.safetensors")[1], "encodersafetensors")
    found.csv(root / "runs" / "embed" / "embedding.csv", "embeddingcsv")
    found.csv(root / "embeddings.csv", "embeddingscsv")
    found.csv(root / "report" / "results_long.csv", "results_longcsv")
    for folder in (root / "predictions").iterdir():
        found.json(folder / f"{folder.name}-summary.json", "name-summaryjson")
    for ending in ("windows.csv.gz", "bouts.csv", "hourly.csv", "daily.csv"):
        found.csv(root / "predictions" / "walk" / f"walk-{ending}", slug(f"name-{ending}"))
    for path in (root / "day").iterdir():
        found.csv(path, slug(path.name))
    found.json(root / "gpu_check.json", "gpu_checkjson")
    return found


@pytest.fixture(scope="module")
def comparison(root):
    return compared(root)


def test_nothing_is_missing(comparison):
    assert comparison.wrong == set()


def test_every_entry_is_written(comparison):
    entries = {(s, name, e.commands) for s, rows in comparison.sections.items() for name, e in rows if s != "notes"}
    assert entries - comparison.seen == set()
    for section, rows in comparison.sections.items():
        for name, entry in rows:
            for command in set(entry.commands) - {"all"}:
                assert (section, name, command) in comparison.written, f"{section}: {command} writes no {name}"


def test_columns_of_arrays_are_in_order(comparison):
    assert comparison.names("imuidnpy") == list(CHANNELS)
    assert comparison.names("qualityidnpy") == list(MEASURES)


def test_json_objects_by_class(root):
    prototypes = json.loads((root / "runs" / "zeroshot" / "prototypes.json").read_text())
    assert set(prototypes) == {"walking", "standing"} and all(len(ids) == 2 for ids in prototypes.values())


def test_no_file_is_unknown(root):
    """A file of another name needs a section."""
    known = {re.sub(r"<.*?>", "*", name) for name in re.findall(r"^### `(.*)`", DICTIONARY.read_text(), re.MULTILINE)}
    for path in [*(root / "data" / "mmea").rglob("*"), *(root / "runs").rglob("*")]:
        if path.suffix in (".json", ".csv", ".npy"):
            assert any(path.match(pattern) for pattern in known), path.name


def test_a_wrong_type_is_found(tmp_path):
    found = Comparison()
    found.object({"file": 3, "sha256": "a"}, "draws-file")
    found.object({"steps": "many"}, "resultsjson", "train")
    found.object({"steps": 3}, "resultsjson", "embed")
    assert len(found.wrong) == 3
