"""Published weights: where they come from, and whether what was loaded is what was published.

A machine without network says so within seconds. Nothing is fetched that is already on this machine.
"""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
from safetensors import SafetensorError

from utils.progress_bar import hide_other_bars

if TYPE_CHECKING:
    import transformers  # imported where it is used, see imu.py

Model = TypeVar("Model", bound="transformers.PreTrainedModel")

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_ENDPOINT = constants.ENDPOINT
_RESPONSE_WITHIN_S = 5.0
_WAYS_OUT = (
    "Ways out: give --video_weights the path of a local folder with config.json and model.safetensors, "
    "or train from scratch with --video_weights none"
)


class WeightsError(ValueError):
    """Published weights that cannot be had or did not load whole; the message says the ways out."""


def weights_folder(name: str) -> Path:
    """A local folder with the weights: ``name`` itself, the hub's cache, or a download.

    Args:
        name: a local folder or a hub id such as ``MCG-NJU/videomae-base-ssv2``.

    Raises:
        WeightsError: if the folder is not one of weights, or the hub cannot be reached or lacks the files.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        missing = [] if (folder / "config.json").is_file() else ["config.json"]
        if not any((folder / file).is_file() for file in _WEIGHT_FILES):
            missing.append(" or ".join(_WEIGHT_FILES))
        if missing:
            raise WeightsError(f"video_weights: folder {name} has no {' and no '.join(missing)}. {_WAYS_OUT}")
        return folder
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise WeightsError(f"video_weights: there is no folder {name}. {_WAYS_OUT}")
    return hub_folder(name, (("config.json",), _WEIGHT_FILES), "video_weights", _WAYS_OUT)


def hub_folder(name: str, files: Sequence[tuple[str, ...]], setting: str, ways_out: str) -> Path:
    """A local folder with files of a repository of the hub, from the hub's cache or a download; no other is fetched.

    Args:
        name: hub id.
        files: of each tuple the first file that there is.
        setting: that asks for it, for messages.
        ways_out: what to do where it cannot be had.

    Raises:
        WeightsError: if the hub cannot be reached, or lacks a file.
    """
    for choice in product(*files):
        paths = [try_to_load_from_cache(name, file) for file in choice]
        if all(isinstance(path, str) for path in paths):
            return Path(paths[0]).parent
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(f"{setting}: {name} is not on this machine and HF_HUB_OFFLINE is set. {ways_out}")
    try:  # any response will do; downloads repeat a request that fails for half a minute
        get_session().head(f"{_ENDPOINT}/{name}/resolve/main/{files[0][0]}", timeout=_RESPONSE_WITHIN_S)
    except Exception as error:  # the client's own kinds, which have changed between its versions
        raise WeightsError(
            f"{setting}: {name} is not on this machine and {_ENDPOINT} cannot be reached ({error}). " + ways_out
        ) from error
    hide_other_bars()
    try:
        for options in files:
            for file in options:
                with suppress(EntryNotFoundError) if len(options) > 1 else nullcontext():
                    path = hf_hub_download(name, file, endpoint=_ENDPOINT)
                    break
            else:
                raise WeightsError(f"{setting}: {name} has neither {' nor '.join(options)}. {ways_out}")
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{setting}: {name} cannot be fetched ({reason}). {ways_out}") from error
    return Path(path).parent


def load_checked(model_class: type[Model], config: "transformers.PreTrainedConfig", folder: Path) -> Model:
    """Load weights from a local folder in float32; every parameter of the model must come from the file.

    Raises:
        WeightsError: if parameters are missing or of another shape, or VideoMAE's query biases are all zero.
    """
    import transformers

    verbosity = transformers.logging.get_verbosity()
    hide_other_bars()
    transformers.logging.set_verbosity_error()  # what matters of its warnings is checked below
    try:
        model, report = model_class.from_pretrained(
            folder, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"video_weights: {folder} does not load ({reason}). {_WAYS_OUT}") from error
    finally:
        transformers.logging.set_verbosity(verbosity)
    advice = (
        "These are not the weights of this architecture, or this transformers reads them wrongly (5.8 to 5.17 do so "
        f"with VideoMAE, this is {transformers.__version__}): pip install -U 'transformers>=5.18'"
    )
    if missing := sorted(map(str, report["missing_keys"])) or sorted(map(str, report["mismatched_keys"])):
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise WeightsError(f"video_weights: {folder} does not hold {shown}. {advice}")
    queries = [p for name, p in model.named_parameters() if name.endswith("attention.query.bias")]
    if queries and not any(bool(p.any()) for p in queries):
        raise WeightsError(f"video_weights: {folder} gave query biases that are all zero. {advice}")
    return model.eval()
