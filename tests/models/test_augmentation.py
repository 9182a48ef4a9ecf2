"""Augmentation: each change against one window at a time, and what its draws follow from."""

import math

import pytest
import torch

from models.augmentation import Augmentation, rotations

ZERO, ONE = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)


def windows(count: int = 5, samples: int = 40) -> torch.Tensor:
    return torch.randn(count, 6, samples, generator=torch.Generator().manual_seed(0)) + 3


def changed(imu=None, epoch=1, step=0, mean=ZERO, std=ONE, unit=ONE, **amounts):
    return Augmentation(7, 32, **amounts).imu(windows() if imu is None else imu, mean, std, unit, epoch, step)


def turned(vector, axis, angle):
    """A vector turned about a unit axis, by Rodrigues' formula in Python floats."""
    cross = [axis[i - 2] * vector[i - 1] - axis[i - 1] * vector[i - 2] for i in range(3)]
    dot = sum(a * v for a, v in zip(axis, vector, strict=True))
    cos, sin = math.cos(angle), math.sin(angle)
    return [v * cos + c * sin + a * dot * (1 - cos) for v, c, a in zip(vector, cross, axis, strict=True)]


def test_rotations_turn_single_vectors():
    axes = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = rotations(axes.float())
    for row, matrix in zip(axes.tolist(), found.double(), strict=True):
        angle = math.sqrt(sum(value * value for value in row))
        expected = turned([1.0, -2.0, 0.5], [value / angle for value in row], angle)
        assert (matrix @ torch.tensor([1.0, -2.0, 0.5]).double()).tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(rotations(torch.zeros(1, 3))[0], torch.eye(3))


def test_one_rotation_for_both_sensors():
    imu = windows()
    imu[:, 3:] = 2 * imu[:, :3]
    found = changed(imu, rotation_deg=40)
    torch.testing.assert_close(found[:, 3:], 2 * found[:, :3])
    torch.testing.assert_close(found[:, :3].norm(dim=1), imu[:, :3].norm(dim=1))
    turns = [torch.linalg.lstsq(a[:3].T, b[:3].T).solution.T for a, b in zip(imu, found, strict=True)]
    for turn in turns:  # a rotation, the same at every sample
        torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-4, rtol=0)
        assert torch.linalg.det(turn).item() == pytest.approx(1, abs=1e-4)
    assert (turns[0] - turns[1]).abs().max() > 0.05


def test_angles_are_as_large_as_asked_for():
    rest = torch.zeros(2000, 6, 1)
    rest[:, 2] = 9.81
    found = changed(rest, rotation_deg=5)
    sideways = torch.atan2(found[:, 0, 0], found[:, 2, 0]).rad2deg()
    assert sideways.std().item() == pytest.approx(5, rel=0.1)


def test_the_z_score_follows_the_rotation():
    mean, std = torch.randn(5, 6, 1), torch.rand(5, 6, 1) + 0.5
    expected = (changed(rotation_deg=30, scale=0.2) - mean) / std
    torch.testing.assert_close(changed(mean=mean, std=std, rotation_deg=30, scale=0.2), expected)


def test_scale_bias_and_noise_alone():
    imu = windows()
    gain = changed(scale=0.3) / imu
    torch.testing.assert_close(gain, gain[:, :, :1].expand_as(gain))
    offset = changed(bias=0.3) - imu
    torch.testing.assert_close(offset, offset[:, :, :1].expand_as(offset), atol=1e-5, rtol=0)
    for found, amount in ((gain[:, :, 0] - 1, 0.3), (offset[:, :, 0], 0.3)):
        assert 0.15 < found.std() < 0.45 and found.unique().numel() == 30, amount
    noise = changed(windows(200), noise=0.1) - windows(200)
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.003)


def test_without_a_z_score_noise_is_in_the_datas_units():
    """By the data's standard deviation: z-scored afterwards, it is what z-scored windows get."""
    std = torch.rand(5, 6, 1) + 0.5
    for amounts in ({"bias": 0.3}, {"noise": 0.2}, {"bias": 0.3, "noise": 0.2, "rotation_deg": 20.0}):
        raw = changed(unit=std, **amounts)
        torch.testing.assert_close(raw / std, changed(std=std, **amounts))


def test_channels_are_lost_one_by_one():
    imu = windows(3000, 2)
    lost = changed(imu, drop_channel=0.2) == 0
    assert torch.equal(lost[:, :, 0], lost[:, :, 1]) and not (imu == 0).any()
    share = lost[:, :, 0].float()
    assert share.mean(0).tolist() == pytest.approx([0.2] * 6, abs=0.03)
    assert (torch.corrcoef(share.T) - torch.eye(6)).abs().max() < 0.08  # each by itself
    assert torch.equal(changed(imu, drop_channel=0.2)[~lost], imu[~lost])


def test_a_sensor_that_is_not_there_stays_zero():
    imu = windows()
    imu[1:4, 3:] = 0
    mean, std = torch.zeros(5, 6, 1), torch.ones(5, 6, 1)
    found = changed(imu, mean=mean, std=std, rotation_deg=20, scale=0.1, bias=0.3, noise=0.1)
    assert not found[1:4, 3:].any() and found[[0, 4], 3:].all() and found[:, :3].all()
    whole = changed(rotation_deg=20, scale=0.1, bias=0.3, noise=0.1)
    torch.testing.assert_close(found[:, :3], whole[:, :3])


def test_one_sensor_is_lost_at_most():
    found = changed(windows(4000, 2), drop_sensor=0.3)
    acc, gyro = (found[:, part].abs().sum((1, 2)) == 0 for part in (slice(0, 3), slice(3, 6)))
    assert not (acc & gyro).any()
    assert (acc | gyro).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert acc.float().mean().item() == pytest.approx(0.15, abs=0.02)
    kept = ~(acc | gyro)
    assert torch.equal(found[kept], windows(4000, 2)[kept])


def test_maps_of_clips_are_within_bounds():
    plain = Augmentation(7, 32).warps(3, 1, 0, torch.device("cpu"))
    torch.testing.assert_close(plain, torch.eye(2, 3).expand(3, 2, 3))
    found = Augmentation(7, 32, video_shift=4, video_scale=0.2).warps(2000, 1, 0, torch.device("cpu"))
    assert found[:, :, 2].abs().max() <= 4 * 2 / 32 < found[:, :, 2].abs().max() * 1.01
    zoom = found[:, [0, 1], [0, 1]]
    assert 0.8 <= zoom.min() < 0.81 and 1.19 < zoom.max() <= 1.2
    assert found[:, 0, 1].abs().max() == 0
    turn = Augmentation(7, 32, video_rotation_deg=8).warps(2000, 1, 0, torch.device("cpu"))
    assert torch.atan2(turn[:, 1, 0], turn[:, 0, 0]).rad2deg().std().item() == pytest.approx(8, rel=0.1)
    torch.testing.assert_close(turn[:, :, :2] @ turn[:, :, :2].mT, torch.eye(2).expand(2000, 2, 2))


EVERYTHING = {"rotation_deg": 10.0, "scale": 0.1, "bias": 0.1, "noise": 0.1, "drop_sensor": 0.3, "drop_channel": 0.1}


def test_draws_follow_from_seed_epoch_and_step():
    first = changed(**EVERYTHING)
    assert torch.equal(first, changed(**EVERYTHING))
    others = [changed(**EVERYTHING, epoch=2), changed(**EVERYTHING, step=1)]
    others.append(Augmentation(8, 32, **EVERYTHING).imu(windows(), ZERO, ONE, ONE, 1, 0))
    for other in others:
        assert not torch.allclose(first, other)


def test_ranks_share_the_draws_of_one():
    clips = {"video_shift": 3, "video_scale": 0.1, "video_rotation_deg": 5}
    device = torch.device("cpu")
    whole = Augmentation(7, 32, **EVERYTHING, **clips)
    parts = [Augmentation(7, 32, **EVERYTHING, **clips, rank=rank, world_size=2) for rank in (0, 1)]
    halves = [p.imu(half, ZERO, ONE, ONE, 1, 4) for p, half in zip(parts, windows(6).split(3), strict=True)]
    torch.testing.assert_close(torch.cat(halves), whole.imu(windows(6), ZERO, ONE, ONE, 1, 4))
    assert torch.equal(torch.cat([p.warps(3, 1, 4, device) for p in parts]), whole.warps(6, 1, 4, device))
