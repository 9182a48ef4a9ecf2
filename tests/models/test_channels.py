"""Channels that no rotation changes: against the numpy signals, under rotations, and inside every encoder."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from configs.constants import ACC, GYRO, STANDARD_GRAVITY
from configs.load import ConfigError, build
from configs.training import TrainConfig
from models import IMU_ENCODERS, build_imu_encoder, build_model, build_objective, load_imu_encoder
from models.channels import ACC_UNIT, CHANNELS_OF, build_channels
from models.invariant import SIGNALS, invariant_signals
from tests.models.test_invariant import windows
from utils import checkpoint

SMALL = {"dataset": "x", "normalize": "none", "imu_dim": 8, "imu_heads": 2, "imu_layers": 1, "imu_ffn": 8}


def config_of(**settings):
    return build(TrainConfig, SMALL | settings, "test")


def channels(imu, kind):
    found = build_channels(kind, imu.shape[2])(torch.from_numpy(imu)).numpy()
    assert found.shape == (len(imu), len(CHANNELS_OF[kind]), imu.shape[2])
    return dict(zip(CHANNELS_OF[kind], found.transpose(1, 0, 2), strict=True))


@pytest.mark.parametrize("samples", [50, 150, 250])
@pytest.mark.parametrize("kind", ["invariant", "both"])
def test_channels_are_the_signals_at_unit_size(samples, kind):
    imu = windows(3, samples)
    signals = dict(zip(SIGNALS, invariant_signals(imu).transpose(1, 0, 2), strict=True))
    found = channels(imu, kind)
    for name, values in signals.items():
        at_rest = STANDARD_GRAVITY if name in ("acc_norm", "acc_along") else 0
        wanted = (values - at_rest) / (ACC_UNIT if name.startswith("acc") else 1)
        np.testing.assert_allclose(found.pop(name), wanted, rtol=1e-5, atol=1e-5)  # the filter is float32
    axes = {name: imu[:, k] / (STANDARD_GRAVITY if k < 3 else 1) for k, name in enumerate((*ACC, *GYRO))}
    assert found.keys() == (axes.keys() if kind == "both" else set())
    assert all(np.array_equal(found[name], axes[name]) for name in found)


def test_channels_do_not_feel_a_rotation():
    imu = windows(6)
    turned = Rotation.random(6, random_state=1).as_matrix()
    both = np.concatenate([turned @ imu[:, :3], turned @ imu[:, 3:]], axis=1)
    for name, values in channels(both, "invariant").items():
        np.testing.assert_allclose(values, channels(imu, "invariant")[name], atol=1e-9)
    axes = channels(both, "both")["acc_x"] - channels(imu, "both")["acc_x"]
    assert np.abs(axes).max() > 0.1


def test_walking_is_of_unit_size_and_rest_is_zero():
    still = np.zeros((1, 6, 250))
    still[:, 1] = -STANDARD_GRAVITY
    assert all(np.abs(values).max() < 1e-5 for values in channels(still, "invariant").values())
    t = np.arange(250) / 50
    step = still.copy()
    step[0, 1] += 3 * np.sin(2 * np.pi * 2 * t)  # the usual up and down of walking, and the swing of an arm
    step[0, 3] = 2 * np.sin(2 * np.pi * t)
    sizes = [values.std() for name, values in channels(step, "invariant").items() if name != "acc_across"]
    assert 0.3 < max(sizes) < 2


def test_a_lost_sensor_is_zero():
    imu = windows(2)
    no_gyro, no_acc = imu.copy(), imu.copy()
    no_gyro[:, 3:], no_acc[:, :3] = 0, 0
    for name, values in channels(no_gyro, "both").items():
        assert values.any() == name.startswith("acc"), name
    for name, values in channels(no_acc, "both").items():
        assert values.any() == (name.startswith("gyro") and name != "gyro_along"), name


@pytest.mark.parametrize("name", sorted(IMU_ENCODERS))
@pytest.mark.parametrize("kind", ["invariant", "both"])
def test_every_encoder_takes_them(tmp_path, name, kind):
    config = config_of(imu_encoder=name, imu_channels=kind)
    torch.manual_seed(0)
    encoder = build_imu_encoder(config).double().eval()
    imu, turned = windows(3), Rotation.random(random_state=2).as_matrix()
    both = np.concatenate([turned @ imu[:, :3], turned @ imu[:, 3:]], axis=1)
    with torch.no_grad():
        one, other = encoder(torch.from_numpy(imu)), encoder(torch.from_numpy(both))
    assert one.shape == (3, encoder.dim)
    assert torch.allclose(one, other, atol=1e-9) == (kind == "invariant")
    assert not [key for key in encoder.state_dict() if "low_pass" in key]  # weights alone travel
    weights = {f"imu_encoder.{key}": value for key, value in encoder.float().state_dict().items()}
    payload = {"kind": "pretrain", "config": config.model_dump(mode="json"), "model": weights}
    checkpoint.save(tmp_path / "c.pt", payload)
    loaded, _ = load_imu_encoder(tmp_path / "c.pt")
    imu = torch.from_numpy(imu).float()
    assert torch.equal(loaded(imu), encoder(imu))


def test_raw_is_as_it_was():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        names = build_imu_encoder(config_of(normalize="dataset")).state_dict().keys()
    assert not [name for name in names if "channels" in name]
    imu = torch.randn(2, 6, 250)
    assert build_channels("raw", 250)(imu) is imu


@pytest.mark.parametrize("kind, count", [("raw", 6), ("invariant", 6), ("both", 12)])
def test_masks_cover_all_channels(kind, count):
    class Rows:
        imu, index = torch.from_numpy(windows(2).astype(np.float32)), torch.arange(2)

        def to(self, device):
            return self.imu, None

    config = config_of(model="imu_only", imu_channels=kind)
    objective, model = build_objective(config), build_model(config)
    imu, mask = objective.inputs(Rows(), torch.device("cpu"), 1)
    assert mask.shape == (2, count, 16) and mask.sum(2).unique().tolist() == [6]
    model(imu, mask).mean().backward()
    assert all(p.grad is not None for p in model.head.parameters())


def test_bf16_does_not_coarsen_gravity():
    imu = torch.from_numpy(windows(2).astype(np.float32))
    module = build_channels("invariant", 250)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = module(imu)
    assert coarse.dtype == torch.float32 and torch.equal(coarse, module(imu))


@pytest.mark.parametrize("normalize", ["dataset", "recording", "window"])
def test_a_z_score_before_them_is_refused(normalize):
    with pytest.raises(ConfigError, match=f"imu_channels both: .*normalize {normalize} .*use normalize none"):
        config_of(imu_channels="both", normalize=normalize)
