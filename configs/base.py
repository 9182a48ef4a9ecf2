"""What the settings of all commands share, which are the only source of flags, YAML keys, defaults and help.

One flat, frozen model per command, in a module per stage: ``data``, ``training``, ``evaluation``, ``predict``,
``reporting``. A field's help says what it does and in which unit; what cannot go together is refused there, before any
data, checkpoint or network is touched.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Normalization = Literal["recording", "dataset", "window", "none"]


def setting(default: Any = ..., *, help: str, **limits: Any) -> Any:
    """A field with its help text; without a default it is required."""
    return Field(default, description=help, **limits)


PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
WindowLength = Annotated[float, Field(ge=1, le=30, multiple_of=0.1)]  # seconds; of 0.1, the time between frames
Coverage = Annotated[float, Field(gt=0.5, le=1)]

MIN_COVERAGE_HELP = (
    "a recording that is shorter than a window but covers at least this fraction of one gives one, its last sample and "
    "frame repeated"
)


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} must be a plain folder name, without slashes")
    return name


# Of a person, who may be called 7: YAML reads a number
Name = Annotated[str, Field(coerce_numbers_to_str=True)]

FolderName = Annotated[str, AfterValidator(_plain_name)]


def _one_or_more(names: Any) -> Any:
    """A list of one name is that name, so that settings and results look as with one."""
    return names[0] if isinstance(names, list) and len(names) == 1 else names


def _plain_names(names: str | list[str]) -> str | list[str]:
    listed = [_plain_name(name) for name in as_list(names)]
    if not listed or len(set(listed)) < len(listed):
        raise ValueError("name one folder or several, each once")
    return names


def as_list(names: str | list[str]) -> list[str]:
    """The names of a setting that holds one or several."""
    return [names] if isinstance(names, str) else names


FolderNames = Annotated[str | list[str], BeforeValidator(_one_or_more), AfterValidator(_plain_names)]


class Config(BaseModel):
    """What all commands share: strict names, no change after the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    program: ClassVar[str]
    second_names: ClassVar[dict[str, str]] = {}  # of flags, by field
    summary: ClassVar[str]  # first lines of --help
    positional: ClassVar[tuple[str, ...]] = ()  # fields whose values stand on the command line without a flag
