"""Means over stretches and blocks against PyTorch's kernels."""

import pytest
import torch
import torch.nn.functional as F

from models.pooling import block_means, segment_means


@pytest.mark.parametrize("length, parts", [(32, 5), (5, 5), (3, 5), (7, 1), (250, 4)])
def test_segments_are_those_of_adaptive_pooling(length, parts):
    x = torch.randn(2, 3, length, dtype=torch.float64)
    torch.testing.assert_close(segment_means(x, parts), F.adaptive_avg_pool1d(x, parts), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape, parts", [((8, 4, 4), (4, 2, 2)), ((5, 3, 7), (4, 2, 2)), ((2, 2, 2), (1, 3, 3))])
def test_blocks_are_those_of_adaptive_pooling(shape, parts):
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    torch.testing.assert_close(block_means(x, parts), F.adaptive_avg_pool3d(x, parts), rtol=1e-12, atol=1e-12)
