"""MiniRocket by aeon, where it is installed: fitted on the windows learnt from, blind to rotations."""

import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.invariant import invariant_signals
from models.minirocket import fit_minirocket
from tests.models.test_invariant import windows


@pytest.mark.parametrize("samples", [50, 250])
def test_features_are_shares_that_no_rotation_changes(samples):
    pytest.importorskip("aeon", reason="aeon is not installed: pip install aeon in an environment of its own")
    imu = windows(6, samples)
    signals = invariant_signals(imu)
    transform = fit_minirocket(signals[:4], seed=3, threads=1)
    found = transform(signals)
    assert found.dtype == np.float32 and found.shape[0] == 6 and found.shape[1] > 9000
    assert found.min() >= 0 and found.max() <= 1 and found.std(axis=0).max() > 0.1
    turn = Rotation.random(random_state=0).as_matrix()
    turned = np.concatenate([turn @ imu[:, :3], turn @ imu[:, 3:]], axis=1)
    assert np.abs(transform(invariant_signals(turned)) - found).mean() < 1e-3  # a sample at a bias may change sides
    assert np.array_equal(fit_minirocket(signals[:4], seed=3, threads=1)(signals), found)
    assert not np.array_equal(fit_minirocket(signals[:4], seed=4, threads=1)(signals), found)
    assert not np.array_equal(fit_minirocket(signals[2:], seed=3, threads=1)(signals), found)


def test_without_aeon_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon.transformations.collection.convolution_based", None)
    with pytest.raises(ValueError, match="pip install aeon.*leave minirocket out"):
        fit_minirocket(windows(2), seed=0, threads=1)
