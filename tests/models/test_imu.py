"""IMU encoders: what every one of them promises, and PatchTST against a slow implementation of our own."""

import math

import pytest
import torch

from configs.training import TrainConfig
from models import IMU_ENCODERS, build_imu_encoder
from models.imu import PatchTSTEncoder

SMALL = {"imu_dim": 16, "imu_heads": 2, "imu_layers": 2, "imu_ffn": 24}


def encoder_of(name: str, **settings):
    torch.manual_seed(0)
    config = TrainConfig(dataset="x", imu_encoder=name, **(SMALL | settings))
    return build_imu_encoder(config).double().eval()


def windows(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 6, 250, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(IMU_ENCODERS))
def encoder(request):
    return encoder_of(request.param)


class TestEveryEncoder:
    def test_shape(self, encoder):
        assert encoder(windows(3)).shape == (3, encoder.dim)

    def test_a_window_does_not_depend_on_its_batch(self, encoder):
        imu = windows(4)
        torch.testing.assert_close(encoder(imu)[2:3], encoder(imu[2:3]), rtol=1e-9, atol=1e-12)

    def test_eval_repeats_itself(self, encoder):
        imu = windows(2)
        assert torch.equal(encoder(imu), encoder(imu))

    def test_every_sample_of_every_channel_matters(self, encoder):
        imu = windows(1).requires_grad_()
        encoder(imu).square().sum().backward()
        assert (imu.grad[0].abs() > 0).all()

    def test_every_parameter_is_trained(self, encoder):
        encoder.train()(windows(4)).square().sum().backward()
        idle = [n for n, p in encoder.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
        # what precedes a batch normalisation of the batch's own mean cannot feel a constant
        assert not [name for name in idle if not name.endswith("k_proj.bias")]

    @pytest.mark.parametrize("shape", [(2, 250, 6), (2, 6, 249), (2, 3, 250), (6, 250)])
    def test_other_shapes_are_refused(self, encoder, shape):
        with pytest.raises(ValueError, match=r"want \(batch, 6, 250\)"):
            encoder(torch.zeros(shape, dtype=torch.float64))

    def test_weights_travel(self, encoder):
        name = next(n for n, kind in IMU_ENCODERS.items() if isinstance(encoder, kind))
        torch.manual_seed(1)
        other = build_imu_encoder(TrainConfig(dataset="x", imu_encoder=name, **SMALL)).double().eval()
        assert not torch.equal(other(windows(2)), encoder(windows(2)))
        other.load_state_dict(encoder.state_dict())
        assert torch.equal(other(windows(2)), encoder(windows(2)))


def test_the_papers_sizes():
    encoder = PatchTSTEncoder()
    assert encoder.num_patches == math.floor((250 - 16) / 16) + 2 == 16
    assert encoder.model.patchifier.num_patches == 16
    assert encoder.dim == 768
    assert encoder.padding == 6
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == 597_120


@pytest.mark.parametrize("patch", [7, 16, 25, 125, 250])
def test_patch_count_is_the_papers_and_nothing_is_skipped(patch):
    encoder = encoder_of("patchtst", imu_patch=patch)
    assert encoder.num_patches == (250 - patch) // patch + 2
    patchify = encoder.model.patchifier
    assert patchify.num_patches == encoder.num_patches
    assert patchify.sequence_start == 0  # otherwise the first samples would be ignored


@pytest.mark.parametrize("window_s", [1, 2.5, 3.1, 5, 15, 30])
@pytest.mark.parametrize("patch", [10, 16, 50])
def test_patches_of_any_length(window_s, patch):
    """The paper's count; the last value is repeated, and every sample of every channel matters."""
    encoder, samples = encoder_of("patchtst", imu_patch=patch, window_s=window_s), round(50 * window_s)
    assert encoder.num_patches == math.floor((samples - patch) / patch) + 2 == encoder.model.patchifier.num_patches
    imu = torch.randn(2, 6, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    filled = [imu[0, 3, min(k, samples - 1)] for k in range(encoder.num_patches * patch)]
    assert torch.equal(encoder.patches(imu)[0, 3].flatten(), torch.stack(filled))
    encoder(imu).square().sum().backward()
    assert (imu.grad.abs() > 0).all()
    with pytest.raises(ValueError, match=rf"want \(batch, 6, {samples}\): {window_s:g} s"):
        encoder(imu[:, :, 1:])


@pytest.mark.parametrize("window_s", [2.9, 15])
def test_conv_gru_of_any_length(window_s):
    encoder, samples = encoder_of("conv_gru", window_s=window_s), round(50 * window_s)
    length = samples  # oracle: positions after each kernel with dilation 2, and after pooling by 3
    for kernel in (10, 5, 5):
        length = (length - 2 * (kernel - 1)) // 3
    imu = torch.randn(2, 6, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert encoder.blocks(imu).shape == (2, 32, length) and length >= 1
    assert encoder(imu).shape == (2, encoder.dim)


def test_conv_gru_refuses_what_its_convolutions_swallow():
    with pytest.raises(ValueError, match="140 samples .*--window_s 2.9 or more, or --imu_encoder patchtst"):
        encoder_of("conv_gru", window_s=2.8)


@pytest.mark.parametrize("patch", [0, 251])
def test_impossible_patches_are_refused(patch):
    with pytest.raises(ValueError, match=f"imu_patch {patch}"):
        PatchTSTEncoder(patch=patch)


def slow_patchtst(encoder: PatchTSTEncoder, imu: torch.Tensor, patch: int, heads: int) -> torch.Tensor:
    """PatchTST as its paper describes it: one window, one channel, one head, one token at a time."""
    weights = encoder.model.state_dict()
    outputs = []
    for window in imu:
        for channel in window:
            values = channel.tolist()
            while len(values) < encoder.num_patches * patch:
                values.append(values[-1])
            position = weights["encoder.positional_encoder.position_enc"]
            tokens = [weights["encoder.positional_encoder.cls_token"].flatten() + position[0]]
            for k in range(encoder.num_patches):
                piece = torch.tensor(values[k * patch : (k + 1) * patch], dtype=torch.float64)
                embedded = weights["encoder.embedder.input_embedding.weight"] @ piece
                tokens.append(embedded + weights["encoder.embedder.input_embedding.bias"] + position[k + 1])
            for layer in range(len(encoder.model.encoder.layers)):
                tokens = slow_layer(weights, f"encoder.layers.{layer}.", tokens, heads)
            outputs.append(tokens[0])
    return torch.stack(outputs).view(len(imu), -1)


@pytest.mark.parametrize("patch, stride", [(10, 5), (16, 10), (50, 49)])
def test_patches_overlap_by_the_stride(patch, stride):
    encoder = encoder_of("patchtst", imu_patch=patch, imu_stride=stride)
    found = encoder.patches(imu := windows(1))
    assert encoder.num_patches == (250 - patch) // stride + 2 == found.shape[2]
    for channel in range(6):
        values = imu[0, channel].tolist()
        for k in range(encoder.num_patches):
            wanted = [values[min(k * stride + i, 249)] for i in range(patch)]
            assert found[0, channel, k].tolist() == wanted


def test_mixed_patches_hold_all_channels():
    encoder = encoder_of("patchtst", imu_patch=10, imu_stride=5, imu_mixing="patch", imu_pooling="segments")
    imu = windows(2)
    patches = encoder.patches(imu)
    assert patches.shape == (2, 1, 50, 60)
    wanted = [imu[1, channel, 15 + i].item() for i in range(10) for channel in range(6)]
    assert patches[1, 0, 3].tolist() == wanted
    tokens = encoder.tokens(patches)[:, 0, 1:]
    expected = torch.cat([tokens[:, 10 * k : 10 * k + 10].mean(1)[:, :, None] for k in range(5)], 2).flatten(1)
    assert encoder.dim == 80
    torch.testing.assert_close(encoder(imu), expected, rtol=1e-9, atol=1e-12)


def test_scaling_comes_before_mixing():
    """Each channel is standardised by itself, not with the others."""
    encoder = encoder_of("patchtst", imu_mixing="patch", imu_scaling="std")
    louder = windows(2)
    louder[:, 3] = 20 * louder[:, 3] + 9.81
    assert (encoder(louder) - encoder(windows(2))).abs().max() < 1e-5


@pytest.mark.parametrize("name, value", [("imu_stride", 17), ("imu_pooling", "median"), ("imu_mixing", "all")])
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} '?{value}"):
        PatchTSTEncoder(**{name.removeprefix("imu_"): value})


def test_conv_sizes():
    encoder = encoder_of("conv")
    assert encoder.dim == 960
    assert sum(p.numel() for p in encoder.parameters()) == 127_296


def slow_layer(weights, prefix, tokens, heads):
    def linear(name, x):
        return weights[f"{prefix}{name}.weight"] @ x + weights[f"{prefix}{name}.bias"]

    def norm(name, x):
        w = {
            key: weights[f"{prefix}{name}.batchnorm.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        }
        return (x - w["running_mean"]) / torch.sqrt(w["running_var"] + 1e-5) * w["weight"] + w["bias"]

    normed = [norm("norm_sublayer1", token) for token in tokens]
    q, k, v = ([linear(f"self_attn.{n}_proj", x) for x in normed] for n in "qkv")
    size = len(q[0]) // heads
    attended = []
    for query in q:
        mixed = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            logits = [float(query[part] @ key[part]) / math.sqrt(size) for key in k]
            exponentials = [math.exp(logit - max(logits)) for logit in logits]
            mixed.append(sum(e / sum(exponentials) * value[part] for e, value in zip(exponentials, v, strict=True)))
        attended.append(linear("self_attn.out_proj", torch.cat(mixed)))
    tokens = [token + more for token, more in zip(tokens, attended, strict=True)]
    return [
        token + linear("ff.3", torch.nn.functional.gelu(linear("ff.0", norm("norm_sublayer3", token))))
        for token in tokens
    ]


def test_matches_a_slow_implementation():
    encoder = encoder_of("patchtst", imu_patch=50, imu_dim=8)
    with torch.no_grad():  # running statistics away from 0 and 1
        encoder.train()(windows(8, seed=3))
    encoder.eval()
    imu = windows(2)
    torch.testing.assert_close(encoder(imu), slow_patchtst(encoder, imu, 50, heads=2), rtol=1e-10, atol=1e-12)


def test_channels_do_not_mix():
    encoder = encoder_of("patchtst")
    imu = windows(1)
    changed = imu.clone()
    changed[0, 4] += 1
    same = (encoder(imu) == encoder(changed)).view(6, 16).all(1)
    assert same.tolist() == [True, True, True, True, False, True]


def test_only_std_scaling_erases_amplitude_and_gravity():
    imu = windows(2)

    def change(scaling: str) -> float:
        encoder = encoder_of("patchtst", imu_scaling=scaling)
        return (encoder(20 * imu + 9.81) - encoder(imu)).abs().max().item()

    assert change("std") < 1e-6  # not 0: the scaler adds 1e-5 under its root
    assert change("none") > 1e-2


def test_nothing_is_masked_while_encoding():
    encoder = encoder_of("patchtst").train()
    assert encoder.model.do_mask_input is False
    assert encoder.model(past_values=torch.zeros(2, 256, 6, dtype=torch.float64)).mask is None


@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
def test_batch_statistics_only_where_asked_for(norm):
    encoder = encoder_of("patchtst", imu_norm=norm)
    has = any(isinstance(m, torch.nn.BatchNorm1d) for m in encoder.modules())
    assert has == (norm == "batchnorm")
    before = {name: b.clone() for name, b in encoder.named_buffers()}
    encoder.eval()(windows(4))
    assert all(torch.equal(b, before[name]) for name, b in encoder.named_buffers())
    encoder.train()(windows(4))
    assert all(torch.equal(b, before[name]) for name, b in encoder.named_buffers()) == (norm == "layernorm")


def test_conv_gru_does_not_feel_the_amplitude_of_a_sensor():
    encoder = encoder_of("conv_gru")
    imu = windows(2)
    louder = imu.clone()
    louder[:, :3] *= 50
    assert (encoder(louder) - encoder(imu)).abs().max() < 1e-5  # not 0: the norm adds 1e-5 under its root
    assert (encoder(windows(2, seed=1)) - encoder(imu)).abs().max() > 1e-2


# Parameters of IMU2CLIP's encoder as its published checkpoints name and order them (facebookresearch/imu2clip).
PUBLISHED = {
    "net.0.weight": (6,),
    "net.0.bias": (6,),
    "net.1.net.0.weight": (32, 6, 10),
    "net.2.net.0.weight": (32, 32, 5),
    "net.3.net.0.weight": (32, 32, 5),
    "net.4.weight": (32,),
    "net.4.bias": (32,),
    "net.5.weight_ih_l0": (1536, 32),
    "net.5.weight_hh_l0": (1536, 512),
    "net.5.bias_ih_l0": (1536,),
    "net.5.bias_hh_l0": (1536,),
}


def published_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 0.3 * torch.randn(shape, dtype=torch.float64, generator=generator) for name, shape in PUBLISHED.items()
    }


def slow_imu2clip(weights: dict[str, torch.Tensor], window: torch.Tensor) -> torch.Tensor:
    """One window, (6, 250) -> (512,), from the description: every position, group and step of the GRU by itself."""

    def group_norm(x, groups, name):
        parts = [(g - g.mean()) / torch.sqrt(g.var(correction=0) + 1e-5) for g in x.chunk(groups)]
        return torch.cat(parts) * weights[f"{name}.weight"][:, None] + weights[f"{name}.bias"][:, None]

    x = group_norm(window, 2, "net.0")
    for block in (1, 2, 3):
        kernel = weights[f"net.{block}.net.0.weight"]  # every second sample, no bias
        reach = 2 * (kernel.shape[2] - 1) + 1
        x = torch.stack([(kernel * x[:, t : t + reach : 2]).sum((1, 2)) for t in range(x.shape[1] - reach + 1)], dim=1)
        x = torch.stack([x[:, t : t + 3].amax(1) for t in range(0, x.shape[1] - 2, 3)], dim=1)
    x = group_norm(x, 4, "net.4")
    state = torch.zeros(512, dtype=torch.float64)
    for step in x.T:
        of_input = weights["net.5.weight_ih_l0"] @ step + weights["net.5.bias_ih_l0"]
        of_state = weights["net.5.weight_hh_l0"] @ state + weights["net.5.bias_hh_l0"]
        reset, update, new = zip(of_input.chunk(3), of_state.chunk(3), strict=True)
        r, z = torch.sigmoid(sum(reset)), torch.sigmoid(sum(update))
        state = (1 - z) * torch.tanh(new[0] + r * new[1]) + z * state
    return state


def test_conv_gru_is_imu2clips_with_its_weights():
    encoder = encoder_of("conv_gru")
    own = encoder.state_dict()
    assert [tuple(value.shape) for value in own.values()] == list(PUBLISHED.values())
    assert sum(p.numel() for p in encoder.parameters()) == 850_892
    weights = published_weights()
    encoder.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    imu = 3 * windows(3) + 1
    expected = torch.stack([slow_imu2clip(weights, window) for window in imu])
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(encoder(imu), expected, rtol=1e-10, atol=1e-12)


def test_conv_gru_steps_at_both_rates():
    """5 s at the original's 200 Hz leave as many positions as there are channels, at 50 Hz five."""
    blocks = encoder_of("conv_gru").blocks
    assert blocks(torch.zeros(1, 6, 1000, dtype=torch.float64)).shape == (1, 32, 32)
    assert blocks(torch.zeros(1, 6, 250, dtype=torch.float64)).shape == (1, 32, 5)
