"""Paths that say who and what."""

import fnmatch

import pytest

from datasets.formats.paths import fill, match_paths, named_parts

FILES = ["a/walk/1.csv", "a/walk/2.csv", "b/sit/1.csv", "b/sit/deep/1.csv", "b/notes.txt", "top.csv", "b/sit[1]/1.csv"]


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "a/walk/folder.csv").mkdir()
    return tmp_path


def names(folder, pattern):
    return [path.relative_to(folder).as_posix() for path, _ in match_paths(folder, pattern)]


@pytest.mark.parametrize("pattern", ["*.csv", "*/*/*.csv", "a/*/1.csv", "*/*.txt"])
def test_stars_are_those_of_the_shell(folder, pattern):
    assert names(folder, pattern) == sorted(
        name for name in FILES if fnmatch.fnmatch(name, pattern) and name.count("/") == pattern.count("/")
    )


def test_two_stars_are_any_folders(folder):
    assert names(folder, "**/*.csv") == sorted(name for name in FILES if name.endswith(".csv"))
    assert names(folder, "b/**/1.csv") == ["b/sit/1.csv", "b/sit/deep/1.csv", "b/sit[1]/1.csv"]


def test_names_are_read_off_the_path(folder):
    found = {path.relative_to(folder).as_posix(): parts for path, parts in match_paths(folder, "{who}/{what}/*.csv")}
    assert found["a/walk/2.csv"] == {"who": "a", "what": "walk"} and len(found) == 4


def test_brackets_are_letters(folder):
    assert names(folder, "b/sit[1]/*.csv") == ["b/sit[1]/1.csv"]


def test_a_name_twice_is_the_same_text_twice(tmp_path):
    for name in ("p1/p1_walk.csv", "p1/p2_walk.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    ((path, parts),) = match_paths(tmp_path, "{subject}/{subject}_{label}.csv")
    assert path.name == "p1_walk.csv" and parts == {"subject": "p1", "label": "walk"}


def test_names_go_into_other_patterns():
    assert named_parts("{a}/{b}_{a}.csv") == ["a", "b"]
    assert fill("v/{a}/{b}.mp4", {"a": "x", "b": "y{a}"}) == "v/x/y{a}.mp4"
