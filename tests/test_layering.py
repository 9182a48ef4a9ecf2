"""Who may import whom: entry scripts anything, models and datasets only configs and utils, these two nothing.

Within datasets, formats and simulation do not import preparation. No import is part of a circle.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENTRY = {"train", "downstream", "zeroshot", "scripts"}
ALLOWED = {
    "models": {"models", "configs", "utils"},
    "datasets": {"datasets", "configs", "utils"},
    "configs": {"configs"},
    "utils": {"utils"},
}
OURS = set(ALLOWED) | ENTRY | {"tests"}
# Raw formats and the simulation serve a preparation, and know nothing of it.
FORBIDDEN_ROOMS = {"datasets/formats": "datasets.preparation", "datasets/simulation": "datasets.preparation"}
# A local package called datasets shadows Hugging Face's, which these would import.
FORBIDDEN = {"evaluate", "torchaudio", "transformers.trainer", "transformers.Trainer"}
# Training machines read prepared frames only: source-video packages are loaded where source video is read.
SOURCE_VIDEO = {"av", "decord"}


@cache
def imported(path: Path) -> list[tuple[str, bool]]:
    """Dotted names that a file imports, and whether it does so at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import on line {node.lineno}"
            names += [(f"{node.module}.{alias.name}", id(node) in top) for alias in node.names]
    return names


def python_files() -> list[Path]:
    folders = [ROOT / name for name in sorted(OURS)]
    return sorted(ROOT.glob("*.py")) + [path for folder in folders for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_import_only_what_they_may(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name, _ in imported(path):
            root = name.split(".")[0]
            assert root not in OURS - ALLOWED[package], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room, other", FORBIDDEN_ROOMS.items())
def test_rooms_of_datasets_import_only_what_they_may(room, other):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files and (ROOT / other.replace(".", "/")).is_dir()
    for path in files:
        for name, _ in imported(path):
            assert not f"{name}.".startswith(f"{other}."), f"{path.relative_to(ROOT)} imports {name}"


def test_no_import_circle():
    """Also none of imports within functions. ``from package import module`` counts as an import of the module."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
               for path in python_files()}  # fmt: skip
    graph = {}
    for module, path in modules.items():
        names = {name if name in modules else name.rpartition(".")[0] for name, _ in imported(path)}
        graph[module] = names & modules.keys()
    assert graph["train"] >= {"configs.load", "datasets.loader", "models"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden_is_imported(path):
    for name, at_top in imported(path):
        assert not any(name == word or name.startswith(word + ".") for word in FORBIDDEN), f"imports {name}"
        if at_top and "tests" not in path.parts:
            assert name.split(".")[0] not in SOURCE_VIDEO, f"imports {name} at its top: training machines lack it"


def test_every_package_folder_is_a_package():
    for name in sorted(OURS):
        for folder in [path for path in (ROOT / name).rglob("*") if path.is_dir()] + [ROOT / name]:
            if list(folder.glob("*.py")):
                assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)} has no __init__.py"


def test_names_of_tests_are_short():
    """A failure's line then shows the name and the reason."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert len(node.name) < 60, f"{path.relative_to(ROOT)}: {node.name} has {len(node.name)} characters"
