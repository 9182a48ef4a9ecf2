"""What the README of each room says holds: its commands, flags, files and code."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from configs import data, evaluation, predict, reporting, training
from configs.base import Config
from configs.load import build, parse
from configs.table import TableConfig
from datasets.formats import table

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in sorted(
        subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    )
}
READMES = [name for name in PAGES if Path(name).name == "README.md"]
TORCHRUN = {"--nproc_per_node", "--standalone", "--nnodes", "--rdzv_backend", "--rdzv_endpoint", "--max_restarts"}
ENDINGS = ("py", "md", "sh", "sbatch", "yaml", "yml", "toml", "cff", "txt", "png")
# What commands write or people bring, not files of the repository
ELSEWHERE = re.compile(r"(runs|data|raw|study_out|demo_out|gpu_check_out|v2|tables|figures|frames|imu|checkpoints)/.*")
PICTURES = {"loss.png", "detection.png", "reliability.png", "coverage.png"}
WRITTEN = {"config.yaml", "report.md", "gpu_check.md", *PICTURES, "mine.py", "fog.yaml", "FILE.yaml"} | {
    f"{name}.txt"
    for name in ("train", "val", "test")  # lists that MMEA is published with
}


SETTINGS = [
    s for stage in (data, evaluation, predict, reporting, training) for s in vars(stage).values() if isinstance(s, type)
]
PROGRAMS = {s.program.removeprefix("python "): s for s in SETTINGS if issubclass(s, Config) and "program" in vars(s)}


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```(?:{language})\n(.*?)```", PAGES[name], flags=re.DOTALL)


def prose(name: str) -> str:
    return re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Page and line of the shell blocks, continued lines joined."""
    lines = [
        (page, line)
        for page in PAGES
        for block in blocks(page, "bash|sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [(page, line.split(" #")[0].strip()) for page, line in lines if line.strip() and not line.startswith("#")]


def ours() -> list[tuple[str, list[str]]]:
    """Program and arguments of the commands that run this software's Python."""
    found = []
    for _, line in commands():
        words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        if words and words[0] == "torchrun":
            words = ["python"] + [w for w in words[1:] if not w.startswith("--n") and not w.startswith("--standalone")]
        if not words or Path(words[0]).name != "python":
            continue
        program, rest = (" ".join(words[1:3]), words[3:]) if words[1] == "-m" else (words[1], words[2:])
        found.append((program, rest))
    return found


def test_the_pages_show_each_program():
    wanted = {"train.py", "downstream.py", "zeroshot.py", "-m scripts.prepare", "-m scripts.report"}
    assert wanted <= {program for program, _ in ours()}
    assert {"README.md", "datasets/README.md", "datasets/formats/README.md", "scripts/README.md"} <= set(READMES)


@pytest.mark.parametrize("program, arguments", ours(), ids=lambda value: value if isinstance(value, str) else "")
def test_command_is_accepted(program, arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert program in PROGRAMS, f"a README shows python {program}, which is no command of ours"
    parse(PROGRAMS[program], arguments)


def test_shell_commands_name_scripts_that_exist():
    for page, line in commands():
        words = shlex.split(line)
        if words and words[0] == "bash":
            assert (ROOT / words[1]).is_file(), f"{page}: {line}: no such script"


@pytest.mark.parametrize("page", PAGES)
def test_programs_in_prose_exist(page):
    for program in re.findall(r"`python (-m scripts\.\w+|\w+\.py)", prose(page)):
        assert program in PROGRAMS, f"{page}: python {program}"
    for module in re.findall(r"`(?:python -m )?((?:scripts|tests)\.[\w.]+)", prose(page)):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), f"{page}: {module}"


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_in_prose_exists(page):
    known = {f"--{name}" for s in PROGRAMS.values() for name in s.model_fields}
    known |= {"--config", "--print_config", "--help"}
    no_flags = {f"--no-{name[2:]}" for name in known}
    named = {
        flag for code in re.findall(r"`([^`]*)`", prose(page)) for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", code)
    }
    assert named <= known | TORCHRUN | no_flags | {"--dev"}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_in_prose_exists(page):
    """A path with a folder lies where it says; a name alone is that of some file of ours."""
    files = set(
        subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    )
    names = {Path(file).name for file in files}
    code = " ".join(re.findall(r"`([^`]*)`", prose(page))).split() + re.findall(r"\]\(([\w/.]+)\)", prose(page))
    for word in code:
        if (
            not re.fullmatch(r"[\w./-]+", word)
            or ELSEWHERE.fullmatch(word)
            or Path(word).name in WRITTEN
            or word.startswith("/")
        ):
            continue
        if word.endswith("/") and "/" in word[:-1]:
            assert any(file.startswith(word) for file in files), f"{page}: {word}"
        elif word.rsplit(".", 1)[-1] in ENDINGS:
            beside = (Path(page).parent / word).as_posix()
            known = word in files or beside in files or ("/" not in word and word in names)
            in_preset_folder = f"configs/{word}" in files
            assert known or in_preset_folder, f"{page}: {word}"


def test_the_tree_names_files_that_exist():
    """In the tree a name stands below the last folder before it."""
    (tree,) = re.findall(r"## Where things are\n\n```\n(.*?)```", PAGES["README.md"], flags=re.DOTALL)
    room = ROOT
    for line in tree.splitlines():
        if found := re.match(r"(\w+)/ ", line):
            room = ROOT / found[1]
        for folder in re.findall(r"^ {2}(\w+)/", line):
            assert (room / folder).is_dir(), line
        for file in re.findall(r"\w+\.py", line):
            where = ROOT if line.startswith(file) else room
            assert where.joinpath(file).is_file() or list(where.glob(f"*/{file}")), line


def test_python_is_the_tested_example():
    page = "datasets/formats/README.md"
    (code,) = blocks(page, "python")
    assert code == (ROOT / "tests/datasets/formats/example_format.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["datasets/README.md", "datasets/formats/README.md"])
def test_yaml_is_a_table_description(page):
    for text in blocks(page, "yaml"):
        build(TableConfig, yaml.safe_load(text), page)
    assert blocks(page, "yaml")


def test_the_small_description_reads_its_table(tmp_path):
    page = "datasets/formats/README.md"
    (tmp_path / "mine.yaml").write_text(blocks(page, "yaml")[0])
    (tmp_path / "S01_morning.csv").write_text(blocks(page, "csv")[0])
    found = table.find(tmp_path, tmp_path / "mine.yaml")
    recording = found.sources[0].parse()
    assert found.classes == ("walking", "sitting") and recording.subject == "S01"
    assert [(part.start_s, part.end_s, part.label) for part in recording.segments] == [(0, 0.04, "walking")]
    assert recording.acc[0] == pytest.approx(np.array([0.01, 0.02, 0.99]) * 9.80665)
    assert recording.gyro[2] == pytest.approx(np.radians([0.9, 0.1, 0.3]))


def test_links_to_headings_exist():
    for page, text in PAGES.items():
        anchors = {
            re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)", text, re.MULTILINE)
        }
        assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors, page


def test_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200
