"""A whole study, small: run once as commands of their own, then looked at from every side."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from configs.data import PrepareConfig
from configs.evaluation import DownstreamConfig
from configs.load import ConfigError, parse
from configs.study import load_study, planned_runs
from scripts import reproduce
from scripts.studies.data import data_steps, flags
from scripts.studies.done import is_done
from tests.prepared import write_dataset

STUDY = """
title: A toy study
datasets: {{Toy: toy}}
pretraining:
  masked: {{approach: imu_only, dataset: Toy, config: {folder}/train.yaml}}
evaluations:
  probe: {{kind: few_shot, dataset: Toy, config: {folder}/probe.yaml}}
"""
TRAIN = "dataset: toy\nmodel: imu_only\nepochs: 1\nmax_steps: 2\nbatch_size: 4\nimu_dim: 8\nimu_layers: 1\nimu_ffn: 8\n"
PROBE = "dataset: toy\nshots: [2]\nval_samples: 2\ndraws: 2\nepochs: 2\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder of a study that has been run."""
    folder = tmp_path_factory.mktemp("study")
    write_dataset(folder / "out" / "data" / "toy", ["fall", "standing", "walking"] * 4, seconds=40, video=False)
    (folder / "train.yaml").write_text(TRAIN)
    (folder / "probe.yaml").write_text(PROBE)
    (folder / "study.yaml").write_text(STUDY.format(folder=folder))
    with pytest.raises(SystemExit) as end:
        reproduce.main(["--study", str(folder / "study.yaml"), "--out", str(folder / "out")])
    assert end.value.code == 0, list(folder.rglob("*.log"))
    return folder


def planned(folder: Path):
    return planned_runs(load_study(folder / "study.yaml"), folder / "out" / "data", folder / "out" / "runs")


def test_every_run_has_a_result_and_the_page_shows_it(study):
    results = json.loads((study / "out/runs/probe-masked/results.json").read_text())
    trained = json.loads((study / "out/runs/masked/results.json").read_text())
    assert results["model"] == "imu_only" and trained["command"] == "train"
    encoder = (study / "out/runs/masked/checkpoints/last.pt.sha256").read_text().split()[0]
    assert results["checkpoint"]["sha256"] == encoder
    value = f"{100 * results['shots']['2']['balanced_accuracy']['mean']:.1f}"
    assert value in (study / "out/report_study/report.md").read_text()
    assert (study / "out/runs/embedding_study/embedding.png").is_file()
    assert "loss" in (study / "out/logs/masked.log").read_text()


def test_what_is_done_is_skipped(study, capsys):
    runs = study / "out" / "runs"
    assert all(is_done(run, runs) for run in planned(study))
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("results.json")}
    reproduce.main(["--study", str(study / "study.yaml"), "--out", str(study / "out"), "--commands"])
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in shown] == [
        ["#", "at", "the"],
        ["python", "-m", "scripts.embedding_map"],
        ["python", "-m", "scripts.report"],
    ]
    assert before == {path: path.stat().st_mtime_ns for path in runs.rglob("results.json")}


def test_the_command_for_a_missing_result_can_be_pasted(study, capsys):
    results = study / "out/runs/probe-masked/results.json"
    kept = results.read_bytes()
    results.unlink()
    try:
        reproduce.main(["--study", str(study / "study.yaml"), "--out", str(study / "out"), "--commands"])
    finally:
        results.write_bytes(kept)
    comment, line, *_ = capsys.readouterr().out.splitlines()
    assert comment.startswith("# evaluation")
    [probe] = [run for run in planned(study) if run.name == "probe-masked"]
    assert shlex.split(line) == ["python", *reproduce.command_of(probe, 1)[1:]]
    read = parse(DownstreamConfig, shlex.split(line)[2:])
    assert read == probe.config


def test_an_evaluation_with_other_settings_is_run_again(study):
    runs = study / "out" / "runs"

    def done():
        return is_done(planned(study)[1], runs)  # planned again: a plan keeps its settings

    assert done()
    (study / "probe.yaml").write_text(PROBE.replace("epochs: 2", "epochs: 3"))
    assert not done()
    (study / "probe.yaml").write_text(PROBE)
    assert done()
    measured = runs / "probe-masked" / "results.json"
    kept = measured.read_text()
    measured.write_text(kept.replace('"epochs": 2', '"epochs": 3'))  # as a later call with other settings leaves it
    assert not done()
    measured.write_text(kept)
    encoder = runs / "masked" / "checkpoints" / "last.pt"
    kept = encoder.read_bytes()
    encoder.write_bytes(kept + b"0")
    assert not done()
    encoder.write_bytes(kept)
    assert done()


def test_pretraining_with_other_settings_is_not_overwritten(study):
    (study / "train.yaml").write_text(TRAIN.replace("batch_size: 4", "batch_size: 6"))
    try:
        with pytest.raises(ConfigError, match="masked: was trained with batch_size 4, and the study asks for 6"):
            is_done(planned(study)[0], study / "out" / "runs")
    finally:
        (study / "train.yaml").write_text(TRAIN)


def test_what_fails_is_named_and_costs_only_what_needs_it(study, tmp_path, capsys):
    masked, probe = planned(study)
    failed = reproduce.run_all(
        # no such dataset, in a root of their own
        [replace(run, values=run.values | {"dataset": "none"}) for run in (masked, probe)],
        tmp_path,
        tmp_path / "logs",
        ranks=1,
    )
    assert failed == ["masked", "probe-masked"]
    out = capsys.readouterr()
    shown = out.out + out.err
    assert "masked: FAILED" in shown and "none" in shown and "probe-masked: not run, masked failed" in shown
    assert (tmp_path / "logs" / "masked.log").is_file() and not (tmp_path / "logs" / "probe-masked.log").exists()


def test_a_dataset_that_is_not_prepared_is_named(study, tmp_path):
    with pytest.raises(SystemExit, match="no prepared dataset toy in .*scripts.prepare"):
        reproduce.main(["--study", str(study / "study.yaml"), "--out", str(tmp_path)])


def test_a_preparation_that_fails_costs_what_needs_it(tmp_path, capsys):
    """Of three datasets one is there, one has no folder, and one has recordings that nobody can read."""
    write_dataset(tmp_path / "out" / "data" / "toy", ["fall", "standing", "walking"] * 4, seconds=20, video=False)
    (tmp_path / "raw" / "bad").mkdir(parents=True)
    (tmp_path / "raw" / "bad" / "acc_exp01_user01.txt").write_text("no numbers")
    (tmp_path / "probe.yaml").write_text(PROBE.replace("epochs: 2\n", ""))
    (tmp_path / "train.yaml").write_text(TRAIN)
    (tmp_path / "study.yaml").write_text(
        f"""
title: Three datasets
page: cohorts
datasets: {{Toy: toy, Bad: bad, Gone: gone}}
recordings: {{bad: {{format: hapt, raw: bad}}, gone: {{format: hapt, raw: gone}}}}
pretraining:
  masked: {{approach: imu_only, dataset: Toy, config: {tmp_path}/train.yaml}}
evaluations:
  toy: {{kind: few_shot, dataset: Toy, config: {tmp_path}/probe.yaml, of: [], probes: false, read: &read
    [{{features: [handcrafted], heads: [linear]}}]}}
  bad: {{kind: few_shot, dataset: Bad, config: {tmp_path}/probe.yaml, probes: false, read: [
    {{features: [encoder], heads: [linear]}}]}}
  gone: {{kind: few_shot, dataset: Gone, config: {tmp_path}/probe.yaml, of: [], read: *read}}
"""
    )
    with pytest.raises(SystemExit, match="1 failed, .*: prepare_bad$"):
        reproduce.main(
            ["--study", f"{tmp_path}/study.yaml", "--out", f"{tmp_path}/out", "--raw", str(tmp_path / "raw")]
        )
    shown = capsys.readouterr().out
    assert "prepare_bad: FAILED with status 1" in shown
    assert f"left out: 1 run (gone): gone is not prepared in {tmp_path}/out/data" in shown
    assert "left out: 1 run (bad): bad could not be prepared" in shown and "left out: 1 run (masked)" in shown
    assert [path.parent.name for path in tmp_path.glob("out/runs/*/results.json")] == ["toy-handcrafted_linear"]
    assert "gone is not prepared" in (tmp_path / "out/report_study/report.md").read_text()


def test_pretraining_is_launched_on_several_ranks(study):
    masked, probe = planned(study)
    words = reproduce.command_of(masked, ranks=4)
    assert words[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4"]
    assert words[-2:] == ["--resume", "auto"] and "torch.distributed.run" not in reproduce.command_of(probe, ranks=4)


def test_ranks_among_which_a_batch_does_not_divide(study, tmp_path):
    with pytest.raises(SystemExit, match="masked: batch_size 4 .* does not divide among 3: start 2"):
        reproduce.main(["--study", str(study / "study.yaml"), "--out", str(tmp_path), "--ranks", "3", "--commands"])


def test_simulated_studies_make_their_recordings_first(capsys, tmp_path):
    data = data_steps(load_study(Path("configs/study/demo.yaml")), tmp_path, tmp_path / "data")
    assert [name for name, _ in data] == ["simulate", "prepare_sim_ego4d", "prepare_sim_mmea", "prepare_sim_pd"]
    assert data[2][1][-6:] == [
        "--format",
        "mmea",
        "--raw",
        f"{tmp_path}/raw/mmea",
        "--out",
        f"{tmp_path}/data/sim_mmea",
    ]


def test_a_study_may_name_its_recordings(tmp_path):
    study = load_study(Path("configs/study/cohorts.yaml"))
    write_dataset(tmp_path / "data" / "hapt", ["walking"], video=False)
    for name in ("hapt", "classyglass", "sisfall"):
        (tmp_path / "given" / name).mkdir(parents=True)
    steps = dict(data_steps(study, tmp_path, tmp_path / "data", tmp_path / "given"))
    made = ["sim_ego4d", "classyglass", "classyglass2", "sisfall"]  # neither what is there nor what has no folder
    assert list(steps) == ["simulate", *(f"prepare_{name}" for name in made)]
    raw = str(tmp_path / "given" / "classyglass")
    words = ["--format", "classyglass", "--raw", raw, "--subset", "Dataset_2", "--out", f"{tmp_path}/data/classyglass2"]
    assert steps["prepare_classyglass2"][3:] == words
    parse(PrepareConfig, words)
    assert set(dict(data_steps(study, tmp_path, tmp_path / "data"))) == {"simulate", "prepare_sim_ego4d"}


def test_real_pairs_are_prepared_as_by_hand(tmp_path):
    (tmp_path / "utd_mhad").mkdir()
    study = load_study(Path("configs/study/real_pairs.yaml"))
    [(_, words)] = data_steps(study, tmp_path / "out", tmp_path / "data", tmp_path)
    by_hand = "--format utd_mhad --window_s 2 --frame_size 112 --raw".split()
    by_hand += [str(tmp_path / "utd_mhad"), "--out", str(tmp_path / "data" / "utd_mhad")]
    assert parse(PrepareConfig, words[3:]) == parse(PrepareConfig, by_hand)


def commands(capsys, *flags):
    reproduce.main([*map(str, flags), "--commands"])
    return capsys.readouterr().out.splitlines()


def test_runs_of_people_wait_for_the_preparation(tmp_path, capsys):
    flags = ["--study", "configs/study/real_pairs.yaml", "--out", tmp_path]
    with pytest.raises(SystemExit, match="no prepared dataset utd_mhad in .*with --raw"):
        commands(capsys, *flags)
    (tmp_path / "raw" / "utd_mhad").mkdir(parents=True)
    shown = commands(capsys, *flags, "--raw", tmp_path / "raw")
    assert [line.split()[:3] for line in shown if line[0] != "#"] == [["python", "-m", "scripts.prepare"]]
    write_dataset(tmp_path / "data" / "utd_mhad", ["a", "b"], seconds=6, video=False, subjects=["s8", "s12"])
    shown = "\n".join(commands(capsys, *flags))
    assert "--run_name softmax_s8" in shown and "--run_name ours_s12" in shown and "_s1 " not in shown


def test_only_what_is_there_is_studied(tmp_path, capsys):
    for name in ("hapt", "sp_sw_har"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    shown = commands(
        capsys, "--study", "configs/study/cohorts.yaml", "--out", tmp_path / "out", "--raw", tmp_path / "raw"
    )
    names = [words[words.index("--run_name") + 1] for line in shown if "--run_name" in (words := shlex.split(line))]
    assert {name.split("-")[0] for name in names} == {
        *("recommended_no_hapt_on_sp_phone+sp_watch", "imu_only_no_hapt_on_sp_phone+sp_watch"),
        *("recommended_2s_on_hapt", "imu_only_2s_on_hapt", "ours_5s", "ours_2s"),
        *("within_waist_phone", "within_pocket_phone", "within_watch", "phone_to_watch", "watch_to_phone"),
    }
    assert sum(line.startswith("# left out: ") and "aeon" not in line for line in shown) == 5
    assert any("sisfall" in line and str(tmp_path / "raw" / "sisfall") in line for line in shown)
    assert "--datasets hapt " in next(line for line in shown if "embedding_map" in line)


def test_raw_recordings_of_another_folder(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(SystemExit, match="nothing is left of the study"):
        reproduce.main(
            ["--study", "configs/study/cohorts.yaml", "--out", str(tmp_path), "--raw", str(tmp_path / "raw")]
        )
    assert not (tmp_path / "logs").exists()


def test_absent_recordings_are_asked_for(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit, match="no prepared dataset classyglass, .*stanford_fog in .*with --raw"):
        reproduce.main(["--study", "configs/study/cohorts.yaml", "--out", str(tmp_path)])


def test_runs_without_their_package_are_left_out(monkeypatch):
    listed = planned_runs(load_study(Path("configs/study/cohorts.yaml")), Path("data"), Path("runs"))
    installed = False
    monkeypatch.setattr(reproduce, "find_spec", lambda name: object() if installed and name == "aeon" else None)
    names = [p.name for p in listed if reproduce.lacks_package(p)]
    assert len(names) == 15 * 3 and all("-minirocket_" in name for name in names)
    installed = True
    assert not any(reproduce.lacks_package(p) for p in listed)


def test_flags_of_switches_and_lists():
    words = flags({"shots": [1, 2], "report": True, "standardize": False, "lr": 0.5})
    assert words == ["--shots", "1", "2", "--report", "--no-standardize", "--lr", "0.5"]
