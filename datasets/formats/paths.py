"""Patterns of paths in which ``{name}`` stands for a part that says something: ``{subject}/{label}/*.csv``."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path

_TOKEN = re.compile(r"(\{\w+\}|\*\*/|\*)")


def named_parts(pattern: str) -> list[str]:
    """Names in braces, in order, each once."""
    return list(dict.fromkeys(re.findall(r"\{(\w+)\}", pattern)))


def match_paths(folder: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files below ``folder`` that fit, sorted, with what the parts say.

    ``*`` and ``{name}`` stand for any text without a slash (a name for at least one character, and for the same text
    wherever it stands); ``**/`` for any number of folders.
    """
    wildcard, expression = "", ""
    for token in _TOKEN.split(pattern):
        if token == "**/":
            wildcard, expression = wildcard + token, expression + "(?:.*/)?"
        elif token == "*":
            wildcard, expression = wildcard + token, expression + "[^/]*"
        elif _TOKEN.fullmatch(token):
            name = token[1:-1]
            wildcard += "*"
            expression += f"(?P={name})" if f"(?P<{name}>" in expression else f"(?P<{name}>[^/]+?)"
        else:
            wildcard, expression = wildcard + glob.escape(token), expression + re.escape(token)
    for path in sorted(folder.glob(wildcard)):
        found = re.fullmatch(expression, path.relative_to(folder).as_posix())
        if found and not path.is_dir():  # a link that leads nowhere is named later
            yield path, found.groupdict()


def fill(pattern: str, parts: dict[str, str]) -> str:
    """The pattern with its names replaced."""
    return re.sub(r"\{(\w+)\}", lambda name: parts[name[1]], pattern)
