"""What the small IMU encoder keeps of the order within a window."""

import pytest
import torch

from models.conv import ConvImuEncoder


@pytest.mark.parametrize("pooling, same", [("whole", True), ("segments", False)])
def test_whole_forgets_where_in_a_window_something_is(pooling, same):
    torch.manual_seed(0)
    encoder = ConvImuEncoder(width=8, samples=256, pooling=pooling).eval()
    early, late = torch.zeros(2, 1, 6, 256)
    event = torch.randn(6, 32)
    early[0, :, 64:96], late[0, :, 160:192] = event, event
    with torch.no_grad():
        first, second = encoder(early), encoder(late)
    assert first.shape == (1, encoder.dim)
    assert torch.allclose(first, second, atol=1e-6) == same
