"""Nearest-prototype scores. Letters: Q queries, P prototypes, K classes, D embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor

VOTE_SHARPNESS = 10.0  # factor on the cosines: a prototype at cosine 0.9 has 2.7 times the vote of one at 0.8


def class_scores(queries: Tensor, prototypes: Tensor, classes: Tensor, num_classes: int, how: str) -> Tensor:
    """Similarity of each query to each class; sorted, a ranking of the classes (section 3.3 of the paper).

    Args:
        queries: (Q, D) unit-norm embeddings.
        prototypes: (P, D) unit-norm embeddings.
        classes: (P,) class of each prototype, 0..K-1; every class has at least one.
        how: ``nearest``, the cosine to the class's most similar prototype; ``mean``, to the direction of their mean;
            ``vote``, the sum of exp(10 cosine) over the class's prototypes: all of them count, near ones far more, as
            in weighted nearest neighbours (Wu et al. 2018, https://arxiv.org/abs/1805.01978, eq. 11). A class with
            more prototypes has more votes.

    Returns:
        (Q, K).

    Raises:
        ValueError: if a class has no prototype, or ``how`` is none of these.
    """
    members = [prototypes[classes == k] for k in range(num_classes)]
    if empty := [k for k, own in enumerate(members) if not len(own)]:
        raise ValueError(f"classes {empty} have no prototype")
    if how == "nearest":
        return torch.stack([(queries @ own.T).amax(dim=1) for own in members], dim=1)
    if how == "mean":
        return queries @ F.normalize(torch.stack([own.mean(dim=0) for own in members]), dim=1).T
    if how == "vote":
        return torch.stack([(VOTE_SHARPNESS * queries @ own.T).exp().sum(dim=1) for own in members], dim=1)
    raise ValueError(f"prototype {how!r} must be nearest, mean or vote")
