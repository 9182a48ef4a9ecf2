"""A classifier of IMU windows: encoder, linear layer and everything that applying them takes, in one folder.

``config.json`` has its facts, ``model.safetensors`` its weights, ``README.md`` is its model card. No file holds code,
and what does not hold together is refused.

    from models import load_classifier
    classifier = load_classifier("my_classifier")
    probabilities = classifier.probabilities(windows)  # numpy, (n, 6, T) in m/s² and rad/s, 50 Hz -> (n, K)

Letters: n windows, T samples of a window, K classes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from configs.base import Normalization, Share, WindowLength
from configs.constants import CHANNELS, IMU_RATE_HZ
from models.novelty import Novelty, NoveltyFacts
from models.pretrained import hub_folder
from utils.atomic_io import replacing, write_text
from utils.checkpoint import CheckpointError

KIND = "activity classifier"
FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
SHIPPED = Path(__file__).parent / "weights"  # classifiers that come with this software, a folder each
Real = Annotated[float, Field(allow_inf_nan=False)]


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
        threshold: confidence below which a prediction is ``unknown``; 0: none is. Confidence is the largest of a
            window's own probabilities, before any smoothing.
        prior: (K,) share of each class in the labels learnt from; of windows that were repeated so that each class
            weighs the same, 1/K.
        rates_per_s: (K, K) generator of the hidden Markov model: rates[i][j] is how often a second activity i turns
            into j; each row sums to 0.
        simulated: whether it learnt from simulated recordings.
        trained_on: dataset, people and windows learnt from, seed and commit.
        calibration: whom temperature and threshold were chosen on, and what they reach.
        novelty: how unlike what it learnt from a window may be; None: it cannot tell.
    """

    classes: Annotated[list[str], Field(min_length=2)]
    window_s: WindowLength
    normalize: Normalization
    encoder: dict[str, Any]
    temperature: Annotated[Real, Field(gt=0)]
    threshold: Share
    prior: list[Share]
    rates_per_s: list[list[Real]]
    simulated: bool
    trained_on: dict[str, Any]
    calibration: dict[str, Any] = field(default_factory=dict)
    novelty: NoveltyFacts | None = None
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def problem(self) -> str:
        """What does not hold together, in words; empty if everything does."""
        size, rates = len(self.classes), self.rates_per_s
        if len(set(self.classes)) < size:
            return "classes names one twice"
        if len(self.prior) != size or len(rates) != size or any(len(row) != size for row in rates):
            return f"prior and rates_per_s are not of {size} classes"
        change = np.array(rates) * (1 - np.eye(size))
        if (change < 0).any() or not np.allclose(np.sum(rates, axis=1), 0, atol=1e-6 * (1 + change.max())):
            return "rates_per_s is no generator: other entries than the diagonal at least 0, rows that sum to 0"
        return ""


class Classifier(nn.Module):
    """Logits of raw windows; the z-score is part of it, so that signals in SI units go in.

    Args:
        encoder: (n, 6, T) z-scored -> (n, D).
        weight: (K, D) of the linear layer.
        bias: (K,).
        mean, std: (6,) of the training data; used where ``facts.normalize`` is ``dataset``.
        novelty: of embeddings of ``pretrained``; None: there is none.
        pretrained: the encoder that it reads; None: ``encoder``.
    """

    def __init__(
        self,
        facts: ClassifierFacts,
        encoder: nn.Module,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        std: Tensor,
        novelty: Novelty | None = None,
        pretrained: nn.Module | None = None,
    ):
        super().__init__()
        self.facts, self.encoder = facts, encoder
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())
        self.novelty, self.pretrained = novelty, pretrained
        self.eval()

    def forward(self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        """(n, K) logits, divided by the temperature.

        Args:
            imu: (n, 6, T) acceleration in m/s² and angular rate in rad/s at 50 Hz, of any type of number.
            mean, std: (6,) of the recording, where ``normalize`` is ``recording``.

        Raises:
            ValueError: if the windows have another shape, or moments are needed and not given.
        """
        return self.head(self.encoder(self.normalized(imu, mean, std))) / self.facts.temperature

    def normalized(self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        """(n, 6, T) windows as the encoder takes them, see ``z_score``."""
        samples = round(self.facts.window_s * IMU_RATE_HZ)
        if imu.ndim != 3 or imu.shape[1:] != (len(CHANNELS), samples):
            wanted = f"(batch, {len(CHANNELS)}, {samples})"
            raise ValueError(f"IMU windows have shape {tuple(imu.shape)}, want {wanted}")
        if self.facts.normalize == "dataset":
            mean, std = self.mean, self.std
        imu, mean, std = (None if x is None else x.to(self.mean) for x in (imu, mean, std))
        return z_score(imu, self.facts.normalize, mean, std)

    @torch.inference_mode()
    def probabilities(
        self,
        imu: np.ndarray | Tensor,
        mean: np.ndarray | Tensor | None = None,
        std: np.ndarray | Tensor | None = None,
        batch_size: int = 512,
    ) -> np.ndarray:
        """(n, K) float32 calibrated probabilities; arguments as of ``forward``, as arrays or tensors."""
        out = np.empty((len(imu), len(self.facts.classes)), np.float32)
        for part, *values in _parts(imu, mean, std, batch_size):
            out[part] = self(*values).softmax(1).cpu().numpy()
        return out

    @torch.inference_mode()
    def unlike(
        self,
        imu: np.ndarray | Tensor,
        mean: np.ndarray | Tensor | None = None,
        std: np.ndarray | Tensor | None = None,
        batch_size: int = 512,
    ) -> np.ndarray:
        """(n,) float32, how unlike the windows learnt from each is: above 1 are 1 % of those of people held out.

        NaN where the classifier cannot tell. Arguments as of ``probabilities``; see ``models.novelty``.
        """
        out = np.full(len(imu), np.nan, np.float32)
        if self.novelty is not None:
            encoder = self.encoder if self.pretrained is None else self.pretrained
            for part, *values in _parts(imu, mean, std, batch_size):
                out[part] = self.novelty(encoder(self.normalized(*values))).cpu().numpy()
        return out


def _parts(
    imu: np.ndarray | Tensor, mean: np.ndarray | Tensor | None, std: np.ndarray | Tensor | None, size: int
) -> Iterator[tuple[slice, Tensor, Tensor | None, Tensor | None]]:
    mean, std = (None if moment is None else _tensor(moment) for moment in (mean, std))
    for first in range(0, len(imu), size):
        part = slice(first, first + size)
        yield part, _tensor(imu[part]), mean, std


def _tensor(values: np.ndarray | Tensor) -> Tensor:
    # a copy: torch takes no array that is read backwards, and warns of one that cannot be written
    return values if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float32, order="C"))


def z_score(imu: Tensor, normalize: str, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """(n, 6, T) windows with mean 0 and standard deviation 1; a channel that does not vary is only centred.

    Args:
        normalize: whose mean and standard deviation: ``recording`` or ``dataset``: those given, (6,); ``window``; or
            ``none``, which changes nothing.

    Raises:
        ValueError: if moments are needed and not given.
    """
    if normalize == "none":
        return imu
    if normalize == "window":
        mean, std = imu.mean(2, keepdim=True), imu.std(2, keepdim=True, correction=0)
    elif mean is None or std is None:
        raise ValueError(f"windows are z-scored by the {normalize}: give its mean and std")
    else:
        mean, std = mean[:, None], std[:, None]
    return (imu - mean) / torch.where(std > 1e-8, std, torch.ones_like(std))


def save_classifier(folder: Path, classifier: Classifier, card: str) -> None:
    """Write the three files of a classifier; ``config.json`` comes last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    tensors = {name: value.contiguous().cpu() for name, value in classifier.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(tensors, metadata={"format": "pt"}))
    write_text(folder / CARD, card)
    content = {"kind": KIND, "format": FORMAT} | asdict(classifier.facts)
    write_text(folder / CONFIG, json.dumps(content, indent=1) + "\n")


def classifier_folder(name: str) -> Path:
    """The folder of a classifier: ``name`` itself, one that ships in models/weights, or the hub's three files.

    Raises:
        CheckpointError: if there is none, naming those that ship.
        WeightsError: if the hub cannot be reached, or lacks a file.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    shipped = {config.parent.name: config.parent for config in sorted(SHIPPED.glob(f"*/{CONFIG}"))}
    if name in shipped:
        return shipped[name]
    ways_out = (
        f"Ways out: a folder that downstream.py --save_model wrote; of this software: {', '.join(shipped) or '-'}"
    )
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        raise CheckpointError(f"model: there is no folder {name}. {ways_out}")
    return hub_folder(name, tuple((file,) for file in (CONFIG, WEIGHTS, CARD)), "model", ways_out)


def model_path(path: Path) -> Path:
    """Where an encoder or classifier is: a file or folder as it is named, or the folder of a classifier.

    Raises:
        CheckpointError, WeightsError: as of ``classifier_folder``; a missing .pt or .safetensors is no classifier.
    """
    return path if path.exists() or path.suffix in (".pt", ".safetensors") else classifier_folder(str(path))


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
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / CONFIG}: is not JSON ({error}): save the classifier again") from error
    if not (isinstance(content, dict) and content.pop("kind", None) == KIND and content.pop("format", None) == FORMAT):
        raise CheckpointError(
            f"{folder / CONFIG}: is not the {CONFIG} of an {KIND} of format {FORMAT}: save the classifier again"
        )
    try:
        facts = TypeAdapter(ClassifierFacts).validate_json(json.dumps(content))
        problem = facts.problem()
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:3])
    if problem:
        raise CheckpointError(f"{folder / CONFIG}: {problem}: save the classifier again, or take it from its source")
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS}: is not a whole safetensors file ({error}): copy it again from its source"
        ) from error
    for name, values in weights.items():
        if not torch.isfinite(values).all():
            raise CheckpointError(f"{folder / WEIGHTS}: {name} has values that are not finite: train it again")
    return facts, weights
