"""Class scores against one cosine at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.prototypes import class_scores


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def oracle(queries, prototypes, classes, num_classes, how):
    table = []
    for query in queries.tolist():
        row = []
        for k in range(num_classes):
            own = [p for p, c in zip(prototypes.tolist(), classes.tolist(), strict=True) if c == k]
            if how == "nearest":
                row.append(max(cosine(query, p) for p in own))
            elif how == "vote":
                row.append(sum(math.exp(10 * cosine(query, p)) for p in own))
            else:
                row.append(cosine(query, [sum(column) / len(own) for column in zip(*own, strict=True)]))
        table.append(row)
    return torch.tensor(table, dtype=torch.float64)


@pytest.mark.parametrize("how", ["nearest", "mean", "vote"])
def test_scores_match_single_cosines(how):
    generator = torch.Generator().manual_seed(0)
    queries = F.normalize(torch.randn(9, 5, generator=generator, dtype=torch.float64), dim=1)
    prototypes = F.normalize(torch.randn(7, 5, generator=generator, dtype=torch.float64), dim=1)
    classes = torch.tensor([2, 0, 1, 1, 2, 0, 2])
    scores = class_scores(queries, prototypes, classes, 3, how)
    torch.testing.assert_close(scores, oracle(queries, prototypes, classes, 3, how), rtol=1e-12, atol=1e-12)


def test_a_class_without_prototype_is_refused():
    z = F.normalize(torch.randn(3, 4), dim=1)
    with pytest.raises(ValueError, match=r"classes \[1\] have no prototype"):
        class_scores(z, z, torch.tensor([0, 0, 2]), 3, "nearest")
    with pytest.raises(ValueError, match="must be nearest, mean or vote"):
        class_scores(z, z, torch.tensor([0, 1, 2]), 3, "median")
