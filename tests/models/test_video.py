"""Video encoders against transformers' own forward, and what every one of them promises."""

import pytest
import torch
import torch.nn.functional as F
from transformers import VideoMAEConfig, VideoMAEModel

from configs.training import TrainConfig
from models import VIDEO_ENCODERS, build_video_encoder
from models.frames import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from models.video import LOCAL, VideoMAEEncoder
from tests.models.test_frames import normalized

SMALL = {"video_dim": 16, "video_heads": 2, "video_layers": 2, "video_ffn": 24, "video_patch": 8, "image_size": 16}


def encoder_of(name: str, **settings):
    torch.manual_seed(0)
    config = TrainConfig(dataset="x", video_encoder=name, video_weights="none", **(SMALL | {"clip_len": 4} | settings))
    encoder = build_video_encoder(config).eval()
    with torch.no_grad():  # fresh biases are zero, which would hide a bias that is left out
        for name, parameter in encoder.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return encoder


def clips(count: int, frames: int = 4, side: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, frames, side, side, 3), dtype=torch.uint8, generator=generator)


@pytest.fixture(params=sorted(VIDEO_ENCODERS))
def encoder(request):
    return encoder_of(request.param).double()


class TestEveryEncoder:
    def test_shape(self, encoder):
        assert encoder(clips(3)).shape == (3, encoder.dim)

    def test_a_clip_does_not_depend_on_its_batch(self, encoder):
        video = clips(3)
        torch.testing.assert_close(encoder(video)[1:2], encoder(video[1:2]), rtol=1e-9, atol=1e-12)

    def test_stored_frames_of_another_size_are_resized(self, encoder):
        flat = torch.full((1, 4, 40, 40, 3), 77, dtype=torch.uint8)
        torch.testing.assert_close(encoder(flat), encoder(flat[:, :, :16, :16]), rtol=1e-9, atol=1e-9)

    def test_only_the_frames_that_it_uses_matter_and_they_suffice(self, encoder):
        used = list(encoder.frames_used(4))
        video = clips(2)
        others = [frame for frame in range(4) if frame not in used]
        changed = video.clone()
        changed[:, others] = 255 - changed[:, others]
        assert torch.equal(encoder(changed), encoder(video))
        assert torch.equal(encoder(video[:, used]), encoder(video))

    @pytest.mark.parametrize("bad", [torch.zeros(1, 4, 16, 16, 3), torch.zeros(1, 4, 3, 16, 16, dtype=torch.uint8)])
    def test_other_inputs_are_refused(self, encoder, bad):
        with pytest.raises(ValueError, match="want uint8"):
            encoder(bad)

    def test_rebuilds_from_its_own_config_without_files(self, encoder):
        again = type(encoder).from_config(encoder.config).double().eval()
        again.load_state_dict(encoder.state_dict())
        assert torch.equal(again(clips(2)), encoder(clips(2)))

    def test_every_parameter_is_trained(self, encoder):
        encoder.train()(clips(2)).square().sum().backward()
        idle = [n for n, p in encoder.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
        assert not idle


@pytest.mark.parametrize("pooled", [True, False])
def test_videomae_is_the_mean_of_transformers_tokens(pooled):
    encoder = encoder_of("videomae")
    config = VideoMAEConfig.from_dict(encoder.config | {"use_mean_pooling": pooled})
    model = VideoMAEModel(config).double().eval()
    model.load_state_dict(encoder.model.state_dict(), strict=False)
    video = clips(2)
    tokens = model(normalized(video, IMAGENET_MEAN, IMAGENET_STD)).last_hidden_state
    assert tokens.shape == (2, 2 * 2 * 2, 16)  # 4 frames in pairs, 16 pixels in patches of 8
    torch.testing.assert_close(VideoMAEEncoder(model).double()(video), tokens.mean(1), rtol=1e-6, atol=1e-7)


def test_videomae_of_the_paper_has_980_tokens():
    config = VideoMAEConfig(num_frames=10)
    assert config.num_frames // config.tubelet_size * (config.image_size // config.patch_size) ** 2 == 980


def test_clip_sees_the_middle_frame_alone():
    encoder = encoder_of("clip").double()
    assert [list(encoder.frames_used(clip_len)) for clip_len in (1, 2, 3, 4, 10)] == [[0], [1], [1], [2], [5]]
    video = clips(2)
    expected = encoder.model(normalized(video, CLIP_MEAN, CLIP_STD)[:, 2]).image_embeds
    torch.testing.assert_close(encoder(video), expected, rtol=1e-6, atol=1e-7)
    for frame in (0, 1, 3):
        changed = video.clone()
        changed[:, frame] = 0
        assert torch.equal(encoder(changed), encoder(video))


def test_videomae_sees_every_frame():
    encoder = encoder_of("videomae").double()
    assert list(encoder.frames_used(4)) == [0, 1, 2, 3]
    for frame in range(4):
        changed = clips(1)
        changed[:, frame] = 0
        assert not torch.allclose(encoder(changed), encoder(clips(1)))


@pytest.mark.parametrize("frames", [2, 6])
def test_another_clip_length_is_refused(frames):
    with pytest.raises(ValueError, match=f"clips have {frames} frames, the encoder was built for 4"):
        encoder_of("videomae")(clips(1, frames=frames))


def test_an_odd_clip_is_refused():
    config = encoder_of("videomae").config | {"num_frames": 5}
    with pytest.raises(ValueError, match="clip_len 5 must be a multiple of 2"):
        VideoMAEEncoder.from_config(config)


def test_conv21d_sizes():
    config = TrainConfig(dataset="x", video_encoder="conv21d", image_size=32, frame_differences=3.0)
    assert config.video_weights == "none"
    encoder = build_video_encoder(config)
    assert encoder.dim == 640
    assert sum(p.numel() for p in encoder.parameters()) == 240_512


def test_conv21d_sees_space_before_time():
    """Each frame by itself, its 3 x 3 places in a row; then over time, and the means of five stretches."""
    encoder = encoder_of("conv21d", frame_differences=2.0).double()
    video = clips(2, frames=7)
    expected = []
    for planes in encoder.normalize(video):
        places = [F.adaptive_avg_pool2d(encoder.space(frame[None]), 3).flatten() for frame in planes]
        expected.append(F.adaptive_avg_pool1d(encoder.time(torch.stack(places, 1)[None]), 5).flatten())
    torch.testing.assert_close(encoder(video), torch.stack(expected), rtol=1e-9, atol=1e-12)


def test_local_pooling_keeps_quarters_apart():
    encoder = encoder_of("videomae", video_pooling="local", clip_len=10, image_size=32).double()
    video = clips(2, frames=10, side=32)
    model = encoder.model
    tokens = model(normalized(video, IMAGENET_MEAN, IMAGENET_STD)).last_hidden_state.view(2, 5, 4, 4, 16)
    expected = []
    for channel in range(16):
        for first, end in ((0, 2), (1, 3), (2, 4), (3, 5)):  # quarters of five time steps share some
            for row in (0, 2):
                for column in (0, 2):
                    block = tokens[:, first:end, row : row + 2, column : column + 2, channel]
                    expected.append(block.mean((1, 2, 3)))
    assert encoder.dim == 16 * LOCAL[0] * LOCAL[1] * LOCAL[2]
    torch.testing.assert_close(encoder(video), torch.stack(expected, 1), rtol=1e-6, atol=1e-7)


def test_the_stem_stands_before_the_patches():
    settings = {"video_stem": True, "frame_differences": 3.0, "image_size": 32, "video_patch": 16}
    encoder = encoder_of("videomae", **settings).double()
    video = clips(2, side=32)
    planes = encoder.normalize(video)
    places = torch.stack([encoder.stem(clip) for clip in planes])  # 4 x 4 places, of which 2 x 2 make a patch
    assert planes.shape == (2, 4, 6, 32, 32) and places.shape == (2, 4, 8, 4, 4)
    torch.testing.assert_close(encoder(video), encoder.model(places).last_hidden_state.mean(1), rtol=1e-6, atol=1e-7)
