"""Every command that the README shows is one that the software accepts."""

import re
import shlex
from pathlib import Path

import pytest

from configs.base import Config
from configs.load import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def subclasses(base: type) -> list[type]:
    return [base] + [s for child in base.__subclasses__() for s in subclasses(child)]


PROGRAMS = {s.program.removeprefix("python "): s for s in subclasses(Config) if "program" in vars(s)}


def commands() -> list[str]:
    """Lines of the README's shell blocks, continued lines joined."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", README, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def ours() -> list[tuple[str, list[str]]]:
    """Program and arguments of the commands that run this software's Python."""
    found = []
    for line in commands():
        words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        if words and words[0] == "torchrun":
            words = ["python"] + [w for w in words[1:] if not w.startswith("--n") and not w.startswith("--standalone")]
        if not words or Path(words[0]).name != "python":
            continue
        program, rest = (" ".join(words[1:3]), words[3:]) if words[1] == "-m" else (words[1], words[2:])
        found.append((program, rest))
    return found


def test_the_readme_shows_each_program():
    assert {"train.py", "downstream.py", "zeroshot.py", "-m scripts.prepare"} <= {program for program, _ in ours()}


@pytest.mark.parametrize("program, arguments", ours(), ids=lambda value: value if isinstance(value, str) else "")
def test_command_is_accepted(program, arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert program in PROGRAMS, f"the README shows python {program}, which is no command of ours"
    parse(PROGRAMS[program], arguments)


def test_shell_commands_name_scripts_that_exist():
    for line in commands():
        words = shlex.split(line)
        if words and words[0] == "bash":
            assert (ROOT / words[1]).is_file(), f"{line}: no such script"


def test_every_flag_that_the_prose_names_exists():
    known = {f"--{name}" for s in PROGRAMS.values() for name in s.model_fields}
    known |= {"--config", "--print_config", "--help"}
    torchrun = {"--nproc_per_node", "--standalone", "--nnodes", "--rdzv_backend", "--rdzv_endpoint"}
    no_flags = {f"--no-{name[2:]}" for name in known}
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z][a-z0-9_-]*)", prose))
    assert named <= known | torchrun | no_flags
