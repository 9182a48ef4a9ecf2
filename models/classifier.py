"""A classifier of IMU windows: encoder, linear layer and everything that applying them takes, in one folder.

``config.json`` has its facts, ``model.safetensors`` its weights, ``README.md`` is its model card. No file holds code.

    from models import load_classifier
    classifier = load_classifier("my_classifier")
    probabilities = classifier.probabilities(windows)  # (n, 6, T) in m/s² and rad/s, 50 Hz -> (n, K)

Letters: n windows, T samples of a window, K classes.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from utils.atomic_io import replacing, write_text
from utils.checkpoint import CheckpointError

KIND = "activity classifier"
FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


@dataclass(frozen=True)
class ClassifierFacts:
    """What ``config.json`` says.

    Attributes:
        classes: K names, in the order of the probabilities.
        window_s: length of a window, seconds.
        normalize: unit whose mean and standard deviation z-score a window: ``dataset`` (those of the training data,
            among the weights), ``recording`` (those of the recording that is classified), ``window`` or ``none``.
        encoder: settings that rebuild the encoder, of train.py.
        temperature: logits are divided by it; fitted on people who taught the classifier nothing.
        threshold: confidence below which a prediction is ``unknown``; 0: none is.
        prior: (K,) share of each class in the labels learnt from.
        rates_per_s: (K, K) generator of the hidden Markov model: rates[i][j] is how often a second activity i turns
            into j; each row sums to 0.
        simulated: whether it learnt from simulated recordings.
        trained_on: dataset, people and windows learnt from, seed and commit.
    """

    classes: list[str]
    window_s: float
    normalize: str
    encoder: dict[str, Any]
    temperature: float
    threshold: float
    prior: list[float]
    rates_per_s: list[list[float]]
    simulated: bool
    trained_on: dict[str, Any]


class Classifier(nn.Module):
    """Logits of raw windows; the z-score is part of it, so that signals in SI units go in.

    Args:
        encoder: (n, 6, T) z-scored -> (n, D).
        weight: (K, D) of the linear layer.
        bias: (K,).
        mean, std: (6,) of the training data; used where ``facts.normalize`` is ``dataset``.
    """

    def __init__(
        self, facts: ClassifierFacts, encoder: nn.Module, weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor
    ):
        super().__init__()
        self.facts, self.encoder = facts, encoder
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())
        self.eval()

    def forward(self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        """(n, K) logits, divided by the temperature.

        Args:
            imu: (n, 6, T) acceleration in m/s² and angular rate in rad/s at 50 Hz.
            mean, std: (6,) of the recording, where ``normalize`` is ``recording``.
        """
        return self.head(self.encoder(self.normalized(imu, mean, std))) / self.facts.temperature

    def normalized(self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        """(n, 6, T) windows as the encoder takes them; a channel that does not vary is only centred.

        Raises:
            ValueError: if the recording's moments are needed and not given.
        """
        normalize = self.facts.normalize
        if normalize == "none":
            return imu
        if normalize == "window":
            mean, std = imu.mean(2, keepdim=True), imu.std(2, keepdim=True, correction=0)
        else:
            if normalize == "dataset":
                mean, std = self.mean, self.std
            elif mean is None or std is None:
                raise ValueError("this classifier z-scores by the recording: give its mean and std")
            mean, std = mean[:, None], std[:, None]
        return (imu - mean) / torch.where(std > 1e-8, std, torch.ones_like(std))

    @torch.inference_mode()
    def probabilities(
        self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None, batch_size: int = 512
    ) -> Tensor:
        """(n, K) calibrated probabilities; arguments as of ``forward``."""
        parts = [self(part, mean, std).softmax(1) for part in imu.split(batch_size)]
        return torch.cat(parts) if parts else imu.new_empty(0, len(self.facts.classes))


def save_classifier(folder: Path, classifier: Classifier, card: str) -> None:
    """Write the three files of a classifier; ``config.json`` comes last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    tensors = {name: value.contiguous().cpu() for name, value in classifier.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_text(folder / CARD, card)
    content = {"kind": KIND, "format": FORMAT} | asdict(classifier.facts)
    write_text(folder / CONFIG, json.dumps(content, indent=1) + "\n")


def read_classifier(folder: Path) -> tuple[ClassifierFacts, dict[str, Tensor]]:
    """Facts and weights of a classifier's folder.

    Raises:
        CheckpointError: if a file is missing or damaged, or it is no classifier of this project.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: has no {name}: give the folder that downstream.py --save_model wrote")
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG}: is not JSON ({error}): save the classifier again") from error
    names = {field.name for field in fields(ClassifierFacts)}
    known = isinstance(content, dict) and content.get("kind") == KIND and content.get("format") == FORMAT
    if not known or (missing := names - content.keys()):
        what = (
            f"lacks {', '.join(sorted(missing))}" if known else f"is not the {CONFIG} of an {KIND} of format {FORMAT}"
        )
        raise CheckpointError(f"{folder / CONFIG}: {what}: save the classifier again")
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS}: is not a whole safetensors file ({error})") from error
    return ClassifierFacts(**{name: content[name] for name in names}), weights
