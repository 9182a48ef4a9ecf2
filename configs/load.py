"""From YAML and flags to a validated config: ``--config FILE`` first, flags override.

YAML's traps are met here: ``1e-4`` is a string to ``yaml.safe_load`` (pydantic makes it a number), and a key written
twice would silently win over the first (refused).
"""

import argparse
import difflib
import sys
import types
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from configs.base import Config

AnyConfig = TypeVar("AnyConfig", bound=Config)


class ConfigError(ValueError):
    """A setting that cannot be used; the message names file, key, value and remedy."""


class _StrictLoader(yaml.SafeLoader):
    """safe_load that refuses a key written twice."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key, line = loader.construct_object(key_node), key_node.start_mark.line + 1
        if key in seen:
            raise ConfigError(f"key {key!r} stands on line {seen[key]} and again on line {line}: remove one")
        seen[key] = line
    return loader.construct_mapping(node)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: if the file is missing, is not YAML, holds no mapping, or repeats a key.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold 'key: value' lines, holds a {type(content).__name__}")
    return content


def build(schema: type[AnyConfig], values: dict[str, Any], where: str) -> AnyConfig:
    """Validate values; errors name every offending key and the nearest known ones.

    Raises:
        ConfigError: if any value or key is refused.
    """
    try:
        return schema(**values)
    except ValidationError as error:
        lines = [_explain(schema, item) for item in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from error


def load(schema: type[AnyConfig], file: Path | None, flags: dict[str, Any]) -> AnyConfig:
    """Settings of a file, which flags override.

    Raises:
        ConfigError: if the file cannot be read, or a value or key is refused.
    """
    values = read_yaml(file) if file else {}
    return build(schema, values | flags, f"{file} and flags" if file else "flags")


def _explain(schema: type[Config], item: dict) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, schema.model_fields, n=3, cutoff=0.5)
        return f"unknown setting {name!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
    if item["type"] == "missing":
        return f"{name} is missing: give {name.upper() if name in schema.positional else '--' + name}"
    message = item["msg"].removeprefix("Value error, ")
    given = item["input"]
    given = given[0] if isinstance(given, list) and len(given) == 1 else given  # a flag that takes several had one
    return f"{name} = {given!r}: {message}" if name else message


def dump(config: Config) -> str:
    """The resolved config as YAML that ``--config`` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def parse(schema: type[AnyConfig], argv: list[str] | None = None) -> AnyConfig:
    """Read ``--config FILE`` and flags into a config.

    With ``--print_config`` the resolved settings are printed and the program ends. A setting that is refused ends
    it too, with exit status 2, before anything is loaded.
    """
    parser = build_parser(schema)
    # intermixed: positional words may stand before, between and after flags
    known, unknown = parser.parse_known_intermixed_args(argv)
    flags = {key: value for key, value in vars(known).items() if value not in (None, [])}
    file, show = flags.pop("config", None), flags.pop("print_config", False)
    try:
        if unknown:
            known_flags = [f"--{name}" for name in schema.model_fields if name not in schema.positional]
            near = difflib.get_close_matches(unknown[0].split("=")[0], known_flags, n=3, cutoff=0.5)
            kind = "unknown flag" if unknown[0].startswith("--") else "stray words"
            raise ConfigError(f"{kind} {' '.join(unknown)}" + (f"; did you mean {', '.join(near)}?" if near else ""))
        config = load(schema, file, flags)
    except ConfigError as error:
        parser.exit(2, f"{schema.program}: {error}\n")
    if show:
        sys.stdout.write(dump(config))
        raise SystemExit(0)
    return config


def build_parser(schema: type[Config]) -> argparse.ArgumentParser:
    """An argument parser with one flag per field; fields that ``schema.positional`` names are plain words instead.

    Values stay text here; the schema converts and checks them. No positional word is required by the parser: it may
    come from YAML.
    """
    parser = argparse.ArgumentParser(
        prog=schema.program, description=schema.summary, allow_abbrev=False, argument_default=None
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML with any of the settings below; flags override"
    )
    parser.add_argument("--print_config", action="store_true", help="print the resolved settings as YAML and stop")
    for name, field in schema.model_fields.items():
        choices, is_list, is_bool = _kind(field.annotation)
        text = (field.description or "").replace("%", "%%")
        default = field.get_default(call_default_factory=True)
        if field.is_required():
            text += " (required)"
        elif default is not None and not is_bool:
            shown = " ".join(map(str, default)) if isinstance(default, list) else default
            text += f" (default: {str(shown).replace('%', '%%')})"
        if choices:
            text += f" [{', '.join(choices)}]"
        if name in schema.positional:
            parser.add_argument(name, nargs="*" if is_list else "?", metavar=name.upper(), help=text)
        elif is_bool:
            parser.add_argument(f"--{name}", action="store_const", const=True, help=text)
            parser.add_argument(  # against a file that says true
                f"--no-{name}", dest=name, action="store_const", const=False, help=argparse.SUPPRESS
            )
        elif is_list:
            flags = [f"--{word}" for word in (name, schema.second_names.get(name)) if word]
            parser.add_argument(*flags, nargs="+", metavar=name.upper(), help=text)
        else:
            parser.add_argument(f"--{name}", metavar=name.upper(), help=text)
    return parser


def _kind(annotation: Any) -> tuple[tuple[str, ...], bool, bool]:
    """Choices, is it a list, is it a switch."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0])
    if origin in (Union, types.UnionType):
        kinds = [_kind(arg) for arg in args if arg is not type(None)]
        return next((kind for kind in kinds if kind[1]), kinds[0])  # one name or a list of them: a list
    if origin is list:
        return (), True, False
    choices = tuple(map(str, args)) if str(origin) == "typing.Literal" else ()
    return choices, False, annotation is bool
