"""What the video encoder sees of stored frames, against one pixel at a time."""

import numpy as np
import pytest
import torch

from models.frames import IMAGENET_MEAN, IMAGENET_STD, FrameNormalizer

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def clips(count: int = 2, frames: int = 3, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, frames, side, side, 3), dtype=torch.uint8, generator=generator)


def normalized(frames: torch.Tensor, mean, std) -> torch.Tensor:
    """Image processing as its authors describe it: to 0..1, minus mean, over std, colours first."""
    values = (frames.numpy().astype(np.float64) / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(np.moveaxis(values, -1, 2))


def test_normalizer_matches_image_processing():
    ours = FrameNormalizer(16, IMAGENET_MEAN, IMAGENET_STD).double()(clips())
    torch.testing.assert_close(ours, normalized(clips(), IMAGENET_MEAN, IMAGENET_STD), rtol=1e-6, atol=1e-6)


def test_resizing_averages_over_pixels():
    stripes = torch.zeros(1, 1, 64, 64, 3, dtype=torch.uint8)
    stripes[:, :, :, ::2] = 200  # finer than the target can show: without anti-aliasing they would beat
    small = FrameNormalizer(16, ZEROS, ONES)(stripes)
    assert small.shape == (1, 1, 3, 16, 16)
    inside = 255 * small[..., 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 100), rtol=0, atol=2)


def test_the_box_is_cut_out_before_resizing():
    box = (0.25, 0.0, 0.75, 0.5)  # 8 x 8 of 16 x 16 pixels
    found = FrameNormalizer(8, ZEROS, ONES, box)(clips())
    torch.testing.assert_close(found, normalized(clips()[:, :, 0:8, 4:12], ZEROS, ONES).float())
    with pytest.raises(ValueError, match="frame_box .* of 16 x 16"):
        FrameNormalizer(8, ZEROS, ONES, (0.1, 0.0, 0.11, 1.0))(clips())


def test_differences_are_to_the_frame_before():
    plain = FrameNormalizer(16, IMAGENET_MEAN, IMAGENET_STD)(clips())
    found = FrameNormalizer(16, IMAGENET_MEAN, IMAGENET_STD, differences=3.0)(clips())
    assert found.shape == (2, 3, 6, 16, 16) and torch.equal(found[:, :, :3], plain)
    assert not found[:, 0, 3:].any()
    for frame in (1, 2):
        torch.testing.assert_close(found[:, frame, 3:], 3 * (plain[:, frame] - plain[:, frame - 1]))


def test_a_map_moves_all_frames_of_its_clip():
    normalizer = FrameNormalizer(16, ZEROS, ONES)
    warp = torch.eye(2, 3).repeat(2, 1, 1)
    torch.testing.assert_close(normalizer(clips(), warp), normalizer(clips()), atol=1e-5, rtol=0)
    warp[1, 0, 2] = 3 * 2 / 16  # the second clip shows what lies three pixels to the right
    found, plain = normalizer(clips(), warp), normalizer(clips())
    torch.testing.assert_close(found[0], plain[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1, ..., :13], plain[1, ..., 3:], atol=1e-5, rtol=0)
    assert not found[1, ..., 13:].any()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(normalizer(clips(), warp), found)
