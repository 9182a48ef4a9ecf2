"""How unlike the windows that a classifier has learnt from a window is: its distance to the nearest class.

The Mahalanobis distance of a window's embedding to the mean of each class, with one covariance for all classes (Lee
et al. 2018, https://arxiv.org/abs/1807.03888, section 2.1). The embedding is that of the encoder as pretraining left
it, at length 1, since a finetuned one keeps what tells its classes apart: of a classifier of phones and watches 93 % of
the windows of a sensor on the chest are beyond the 99 % quantile, where neighbours of finetuned embeddings found 12 %.

A few hundred windows do not give the covariance of about 1000 values: beside its leading principal components the
variance is taken to be the same in all directions, as in probabilistic principal component analysis (Tipping and
Bishop 1999, https://doi.org/10.1111/1467-9868.00196),

    covariance = sum_i (variance_i - rest) u_i u_i' + rest * identity

Letters: n windows, D embedding, K classes, R principal components.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from configs.base import Share

COMPONENTS = 64  # R, at most
QUANTILE = 0.99  # of the windows of people held out: a window beyond it is unlike
LEAST_LIMIT = 0.1  # share of a recording's windows from which on it is worth a warning, at least
PARTS = 5  # of the people, at most: the distances of one part are to the windows of the others
_LEAST = 1e-6, 1e-12  # of a variance: relative to the largest, and where nothing varies


@dataclass(frozen=True)
class NoveltyFacts:
    """What ``config.json`` says of it.

    Attributes:
        components: R.
        threshold: distance beyond which a window is unlike: the 99 % quantile of people held out.
        limit: share of a recording's windows beyond which it is unlike: that of the person held out with the most, at
            least 10 %.
        share, highest_share: windows beyond thresholds that were chosen on other people: of all, of one person.
        windows, people: that these were chosen and measured on.
        own_encoder: whether it reads the classifier's encoder, which stayed as pretraining left it; otherwise the
            pretrained one is among the weights.
    """

    components: Annotated[int, Field(ge=1)]
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    limit: Annotated[Share, Field(gt=0)]
    share: Share
    highest_share: Share
    windows: int
    people: int
    own_encoder: bool
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


class Novelty(nn.Module):
    """Distance of embeddings to the nearest class, in units of a threshold.

    Args:
        means: (K, D) of each class.
        directions: (R, D) principal components, orthonormal.
        variances: (R,) along them.
        rest: () mean variance along all other directions.
        threshold: distance from which on a window counts as unlike; 1 gives the distance itself.
    """

    def __init__(self, means: Tensor, directions: Tensor, variances: Tensor, rest: Tensor, threshold: float = 1.0):
        super().__init__()
        self.threshold = threshold
        for name, values in (("means", means), ("directions", directions), ("variances", variances), ("rest", rest)):
            self.register_buffer(name, values.clone())

    @classmethod
    def blank(cls, num_classes: int, dim: int, components: int, threshold: float) -> "Novelty":
        """Of these shapes, for weights to be loaded into."""
        shapes = (num_classes, dim), (components, dim), (components,), ()
        return cls(*map(torch.ones, shapes), threshold)

    def forward(self, embeddings: Tensor) -> Tensor:
        """(n,) distances over the threshold, of (n, D) of any length."""
        rows = self._whitened(nn.functional.normalize(embeddings))
        distances = torch.cdist(rows, self._whitened(self.means), compute_mode="donot_use_mm_for_euclid_dist")
        return distances.amin(1) / self.threshold

    def _whitened(self, rows: Tensor) -> Tensor:
        """(n, D) times the symmetric inverse square root of the covariance."""
        own, others = self.variances.rsqrt(), self.rest.rsqrt()
        return others * rows + (rows @ self.directions.T * (own - others)) @ self.directions


def fit_novelty(embeddings: Tensor, labels: Tensor, num_classes: int, most: int = COMPONENTS) -> Novelty:
    """Means, and the covariance within classes, of embeddings at length 1, each class weighing the same.

    Args:
        embeddings: (n, D) of the windows learnt from.
        labels: (n,) int64 classes; one without a window has no mean.
        most: R, if there are as many values and windows.

    Returns:
        With threshold 1, float32.
    """
    rows = nn.functional.normalize(embeddings.double())
    counts = torch.bincount(labels, minlength=num_classes)
    sums = torch.zeros(num_classes, rows.shape[1]).to(rows).index_add_(0, labels, rows)
    means = sums / counts[:, None].clamp(min=1)
    weight = 1 / ((counts > 0).sum() * counts.clamp(min=1))
    within = (rows - means[labels]) * weight[labels].sqrt()[:, None]
    _, size, directions = torch.linalg.svd(within, full_matrices=False)
    count = max(1, min(most, len(size) - 1))
    variances = size.square()
    least = max(_LEAST[0] * float(variances[0]), _LEAST[1])
    rest = variances[count:].sum() / max(1, rows.shape[1] - count)
    parts = means[counts > 0], directions[:count], variances[:count].clamp(min=least), rest.clamp(min=least)
    return Novelty(*(part.float() for part in parts))


def calibrated_novelty(
    embeddings: Tensor, labels: Tensor, people: np.ndarray, num_classes: int, own_encoder: bool
) -> tuple[Novelty, NoveltyFacts] | None:
    """Fitted to all windows, with a threshold from people held out; None where there is one person alone.

    The people, in order of name, are dealt to at most five parts. The windows of a part have their distances to those
    of the others; the threshold is a quantile of these. What is reported of a part has the quantile of the others'.

    Args:
        embeddings: (n, D) of the windows learnt from, on the CPU.
        labels: (n,) int64 classes.
        people: (n,) names.
        own_encoder: as of ``NoveltyFacts``.
    """
    names, person = np.unique(people, return_inverse=True)
    if len(names) < 2:
        return None
    part = person % min(PARTS, len(names))
    distance, beyond = np.zeros(len(people)), np.zeros(len(people), dtype=bool)
    for number in np.unique(part):
        own = torch.from_numpy(part == number)
        distance[own] = fit_novelty(embeddings[~own], labels[~own], num_classes)(embeddings[own].float()).numpy()
    for number in np.unique(part):
        own = part == number
        beyond[own] = distance[own] > np.quantile(distance[~own], QUANTILE, method="higher")
    highest = float((np.bincount(person, weights=beyond) / np.bincount(person)).max())
    novelty = fit_novelty(embeddings, labels, num_classes)
    novelty.threshold = float(np.quantile(distance, QUANTILE, method="higher"))
    return novelty, NoveltyFacts(
        components=len(novelty.variances),
        threshold=novelty.threshold,
        limit=max(LEAST_LIMIT, highest),
        share=float(beyond.mean()),
        highest_share=highest,
        windows=len(people),
        people=len(names),
        own_encoder=own_encoder,
    )
