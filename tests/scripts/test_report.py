"""The page holds the numbers of the results, chance beside them, and the word simulated wherever it applies."""

import re

import pytest

from scripts import report
from tests.results import few_shot, training, write, zero_shot


def page(tmp_path, *folders):
    folders = folders or (tmp_path / "runs",)
    flags = ["--runs", *map(str, folders), "--out", str(tmp_path / "report"), "--title", "Demo"]
    return report.main(flags).read_text()


def rows(text, start):
    """Cells of the table rows that begin with these words, without their links."""
    text = re.sub(r"(?<!!)\[([^]]*)\]\([^)]*\)", r"\1", text)
    return [
        [c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith(f"| {start}")
    ]


def test_rows_say_what_represents_a_window(tmp_path):
    write(
        tmp_path / "runs", a=few_shot(imu_pooling="cls"), b=few_shot(imu_pooling="mean"), c=few_shot(imu_pooling=None)
    )
    text = page(tmp_path)
    for model in ("imu_video_cross (cls)", "imu_video_cross (mean)", "imu_video_cross"):
        assert len(rows(text, f"linear probe, {model}, pretrained")) == 3


def test_few_shot_rows_chance_and_majority(tmp_path):
    write(tmp_path / "runs", a=few_shot(), b=few_shot(encoder="random", accuracy=(0.4, 0.45)))
    text = page(tmp_path)
    assert text.startswith("# Demo\n\n> **Everything measured here is simulated")
    assert (
        "### people (simulated): 2 classes, split by subject" in text
        and "All rows were measured on the same windows" in text
    )
    mine = "linear probe, imu_video_cross, pretrained on ego (simulated)"
    assert rows(text, mine) == [
        [mine, "50.0 ± 1.0", "75.0 ± 1.0"],
        [mine, "40.0 ± 1.0", "65.0 ± 1.0"],
        [mine, "37.5 to 62.5", "62.5 to 87.5"],
    ]
    random = "linear probe, imu_video_cross, random weights"
    assert rows(text, random)[0] == [random, "40.0 ± 1.0", "45.0 ± 1.0"]
    assert rows(text, "chance") == [["chance", "50.0", "50.0"]] * 2
    assert rows(text, "majority") == [["majority", "50.0", "50.0"], ["majority", "33.3", "33.3"]]
    figures = tmp_path / "report" / "figures"
    assert (figures / "runs_a_confusion.png").read_bytes() == (tmp_path / "runs/a/confusion.png").read_bytes()
    assert not (figures / "runs_b_confusion.png").exists()  # the control's errors say nothing
    assert (figures / "shots_0.png").stat().st_size > 1000 and (figures / "shots_0.pdf").stat().st_size > 1000
    for line in text.splitlines():  # every picture that is shown is there
        if line.startswith("!["):
            assert (tmp_path / "report" / line.split("](")[1].rstrip(")")).is_file()
    assert rows(text, "a ")[0][-2:] == ["cccccccccccc", "aaaaaaaaaaaa+changes"]


def test_what_may_look_better_than_it_is_is_said(tmp_path):
    seen = {"seen": True, "windows": 9, "why": "the encoder was pretrained on this dataset (people)"}
    copies = {"copies_on_both_sides": [["a@0", "b@0"]], "dropped_classes": {"fall": "3 windows"}}
    copies["shortened_classes"] = {
        "turning": {"windows": 64, "fewest_shots": 44, "most_shots": 44},
        "seated": {"windows": 20, "fewest_held_out": 6, "most_held_out": 14},
    }
    copies["siblings_share"] = 0.5
    write(tmp_path / "runs", a=few_shot(seen_in_pretraining=seen), b=few_shot(**copies), c=few_shot(**copies))
    text = page(tmp_path)
    assert "**a: Seen before: the encoder was pretrained on this dataset (people); 9 of these windows" in text
    notes = ["1 held-out windows are copies of training windows", "Classes left out: fall (3 windows)"]
    notes += [
        "asked for: turning with 44 of its 64.",
        "asked for: seated with 6 to 14 of its 20.",
        "50.0 % of the held-out windows have another",
    ]
    for metric in ("balanced_accuracy", "macro_f1"):
        table = (tmp_path / f"report/tables/few_shot_0_{metric}.md").read_text()
        assert all(table.count(note) == 1 for note in notes)


def test_every_person_held_out_in_turn(tmp_path):
    whole = {"held_out_per_class": None, "held_out": "all windows of each group in turn"}
    write(tmp_path / "runs", a=few_shot(**whole), b=few_shot())
    text = page(tmp_path)
    assert "held out: all windows of each group in turn;" in text and "held out: 20 windows per class;" in text


def test_other_draws_classes_and_missing_shots_are_told_apart(tmp_path):
    one_shot = few_shot(draws={"file": "draws.json", "sha256": "d2"})
    del one_shot["shots"]["10"]
    write(tmp_path / "runs", a=few_shot(), b=one_shot, c=few_shot(classes=["walking", "fall", "sitting"]))
    write(tmp_path / "runs", d=few_shot(config={"standardize": True}))
    text = page(tmp_path)
    assert len(rows(text, "linear probe on standardised embeddings, imu_video_cross, pretrained on ego")) == 3
    assert "**Not all rows were measured on the same windows.**" in text
    assert ["-", "75.0 ± 1.0"] in [row[1:] for row in rows(text, "linear probe")]
    assert "3 classes" in text and "2 classes" in text


def test_zero_shot_has_chance_beside_each_value(tmp_path):
    write(tmp_path / "runs", z=zero_shot(simulated=False))
    text = page(tmp_path)
    (row,) = [row for row in rows(text, "z ") if len(row) == 16]
    assert row[1:6] == ["people", "imu_video_cross, pretrained on ego (simulated)", "videos (simulated)", "2", "42"]
    assert row[6:10] == ["0.610 ± 0.005", "0.061", "0.620 ± 0.005", "0.062"]
    assert row[10:] == ["0.630 ± 0.005", "0.063", "0.640 ± 0.005", "0.064", "0.650 ± 0.005", "0.065"]
    assert "80 % of each class" in text
    (row,) = [row for row in rows(text, "z ") if len(row) == 5]
    assert row[3:] == ["48.5 to 73.5", "48.5 to 73.5"] and "95 % interval over 8 groups" in text
    seen = {"seen": True, "windows": 3, "why": "the encoder was pretrained on this dataset (people)"}
    write(tmp_path / "more", z=zero_shot() | {"seen_in_pretraining": seen, "direction": "video_to_imu"})
    text = page(tmp_path, tmp_path / "more")
    assert "z: Seen before: the encoder was pretrained on this dataset (people); 3 of these windows" in text
    assert "pretrained on ego (simulated), video to IMU" in text


def test_pretraining_retrieval_and_loss_curve(tmp_path):
    write(tmp_path / "runs", pretrain=training(), bare=training() | {"retrieval": {}, "chance": {}, "held_out": 0})
    text = page(tmp_path)
    row = rows(text, "pretrain ")[0]
    assert row[1:5] == ["ego (simulated)", "1440", "80", "1.234"]
    assert row[5:] == ["0.400", "0.013", "0.400", "0.062", "0.400", "0.062"] * 2
    assert rows(text, "bare")[0][4:] == ["1.234", *["-"] * 12]
    copied = tmp_path / "report" / "figures" / "runs_pretrain_loss.png"
    assert copied.read_bytes() == (tmp_path / "runs/pretrain/loss.png").read_bytes()


def test_masked_reconstruction_is_no_retrieval(tmp_path):
    masked = {"retrieval": {}, "reconstruction": {"masked_mse": 0.25}, "chance": {"masked_mse": 1.5}}
    write(tmp_path / "runs", alone=training() | masked)
    text = page(tmp_path)
    assert rows(text, "alone ")[0][1:] == ["ego (simulated)", "1440", "80", "1.234", "0.250", "1.500"]
    assert "Which video" not in text


@pytest.mark.parametrize(
    "runs, words",
    [
        ({"a": few_shot(simulated=False, pretraining=True)}, "Whatever is marked simulated"),
        ({"a": few_shot(simulated=False, pretraining=False), "b": training()}, "Whatever is marked simulated"),
        ({"a": few_shot(simulated=False, pretraining=False)}, "# Demo\n\n## Few-shot"),
    ],
)
def test_real_recordings_are_not_called_simulated(tmp_path, runs, words):
    write(tmp_path / "runs", **runs)
    text = page(tmp_path)
    assert words in text and "### people: 2 classes" in text and "Everything" not in text


def test_what_is_missing_is_said(tmp_path):
    write(tmp_path / "runs", a=few_shot())
    (tmp_path / "runs" / "a" / "confusion.png").unlink()
    (tmp_path / "runs" / "killed").mkdir()
    (tmp_path / "runs" / "killed" / "config.yaml").write_text("")
    text = page(tmp_path)
    assert "confusion.png is missing from run a" in text
    assert "Begun but without results: killed." in text


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        page(tmp_path)
    (tmp_path / "runs" / "x").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no results.json in"):
        page(tmp_path)
    for text, message in (
        ("{", "results.json: is not JSON"),
        ('{"command": "x"}', "is not a result"),
        ("[]", "is not"),
    ):
        (tmp_path / "runs" / "x" / "results.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            page(tmp_path)
