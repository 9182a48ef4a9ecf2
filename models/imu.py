"""IMU encoders: (B, 6, T) windows to (B, D) features.

Letters: B batch, C channels (6: acceleration x y z, angular rate x y z; or those of ``models.channels``), T samples
(250 in 5 s), P patches, D features.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.constants import CHANNELS, IMU_RATE_HZ, WINDOW_SAMPLES
from models.batchnorm import CrossRankBatchNorm
from models.channels import CHANNELS_OF, build_channels
from models.pooling import SEGMENTS, segment_means

POOLINGS = ("cls", "mean", "both", "segments")
MIXINGS = ("none", "patch")


class PatchTSTEncoder(nn.Module):
    """PatchTST (Nie et al. 2022, https://arxiv.org/abs/2211.14730) with one CLS token per series.

    A series is a channel; its patches do not see those of the others. With ``mixing`` ``patch`` all channels are one
    series.

    The paper's patch count is floor((T - patch) / stride) + 2: the last value is repeated to fill one patch more. The
    implementation in transformers has no such padding; given 250 samples it would drop the *first* 10 unseen, so the
    window is padded here.

    Args:
        dim: width per series.
        layers: transformer layers.
        heads: attention heads.
        ffn: feed-forward width.
        patch: patch length, samples.
        stride: from one patch to the next, samples; None is the patch length.
        dropout: in attention, feed-forward and residual paths.
        scaling: ``none``, or ``std``, which standardises each window by itself and so erases amplitude and gravity
            (f(20 x + 9.81) = f(x)): only to reproduce the authors' code.
        norm: ``batchnorm`` as in PatchTST, or ``layernorm``.
        pooling: what represents a window: ``cls``, the CLS token of each series (the paper's); ``mean``, the mean of
            each series' patch tokens; ``both``, the two side by side; ``segments``, the means of the patch tokens of
            five stretches of the window.
        mixing: ``none``, each channel on its own, as published; ``patch``, a patch holds the samples of all channels.
        attention: ``sdpa``, PyTorch's fused kernels, or ``eager``; the same numbers up to rounding.
        samples: T.
        channels: what it sees of a window, see ``models.channels``; C of them.
    """

    def __init__(
        self,
        dim: int = 128,
        layers: int = 3,
        heads: int = 4,
        ffn: int = 512,
        patch: int = 16,
        stride: int | None = None,
        dropout: float = 0.1,
        scaling: str = "none",
        norm: str = "batchnorm",
        pooling: str = "cls",
        mixing: str = "none",
        attention: str = "sdpa",
        samples: int = WINDOW_SAMPLES,
        channels: str = "raw",
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"imu_pooling {pooling!r} must be one of {', '.join(POOLINGS)}")
        if mixing not in MIXINGS:
            raise ValueError(f"imu_mixing {mixing!r} must be one of {', '.join(MIXINGS)}")
        stride = stride or patch
        self.num_patches = patches_per_window(patch, stride, samples)
        padded = (self.num_patches - 1) * stride + patch  # of the padded window
        self.samples, self.padding = samples, padded - samples
        self.patch, self.pooling, self.mixing = patch, pooling, mixing
        self.token_dim = dim
        self.channels = build_channels(channels, samples)
        count = len(CHANNELS_OF[channels])
        series, joined = (1, count) if mixing == "patch" else (count, 1)
        self.dim = series * dim * {"both": 2, "segments": SEGMENTS}.get(pooling, 1)
        import transformers  # 2 s and 200 MB, which small encoders do without

        self.model = transformers.PatchTSTModel(
            transformers.PatchTSTConfig(
                num_input_channels=series,
                context_length=padded * joined,
                patch_length=patch * joined,
                patch_stride=stride * joined,  # the argument is patch_stride: a stride would be ignored silently
                d_model=dim,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                ffn_dim=ffn,
                attention_dropout=dropout,
                ff_dropout=dropout,
                path_dropout=dropout,
                norm_type=norm,
                use_cls_token=True,
                scaling="std" if scaling == "std" else None,
                do_mask_input=False,  # an encoder that masks would go on masking in eval
                attn_implementation=attention,
            )
        )
        for parent in list(self.model.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.BatchNorm1d):
                    setattr(parent, name, CrossRankBatchNorm(child.num_features, eps=child.eps))

    def forward(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, dim), the series side by side."""
        tokens = self.tokens(self.patches(imu))
        cls, of_patches = tokens[:, :, 0], tokens[:, :, 1:]  # (B, series, token_dim), (B, series, P, token_dim)
        if self.pooling == "segments":
            return segment_means(of_patches.transpose(2, 3), SEGMENTS).flatten(1)
        mean = of_patches.mean(2)
        chosen = {"cls": [cls], "mean": [mean], "both": [cls, mean]}[self.pooling]
        return torch.cat(chosen, dim=2).flatten(1)

    def patches(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, C, P, patch), the transformer's input; mixed (B, 1, P, C patch), sample after sample."""
        _check_window(imu, self.samples)
        padded = F.pad(self.channels(imu), (0, self.padding), mode="replicate").transpose(1, 2)
        scaled, _, _ = self.model.scaler(padded, torch.ones_like(padded))
        if self.mixing == "patch":
            scaled = scaled.reshape(len(scaled), -1, 1)
        return self.model.patchifier(scaled)

    def tokens(self, patches: Tensor) -> Tensor:
        """(B, series, P, values) -> (B, series, 1 + P, token_dim), the CLS token of each series first."""
        return self.model.encoder(patch_input=patches).last_hidden_state


class ConvGRUEncoder(nn.Module):
    """The encoder of IMU2CLIP (Moon et al. 2023, https://arxiv.org/abs/2210.14395): GroupNorm, convolutions, GRU.

    As published (``MW2StackRNNPooling``): acceleration and angular rate are normalised each on its own, so that this
    encoder does not feel their amplitude; three blocks of a convolution (kernels 10, 5, 5, dilation 2, no bias) and max
    pooling by 3, without any activation; GroupNorm over 4 groups; the last state of a GRU. Its parameters are those
    of the original, in the same order: 850,892 at the published sizes.

    One thing differs. The original's windows have 200 samples a second, so that 5 s leave 32 positions of 32
    channels, and its GRU is given them unturned: its 32 steps are the channels. At 50 samples a second 5 positions are
    left, which that GRU cannot take. Here its steps are the positions in time, as in the code of Cheshmi et al. 2025,
    whose results with this encoder the paper prints.

    Args:
        dim: size of the GRU's state, the output.
        width: channels of the convolutions.
        samples: T.
        channels: what it sees of a window, see ``models.channels``.

    Raises:
        ValueError: if convolutions and pooling leave nothing of so short a window.
    """

    LEAST_SAMPLES = 141  # leave one position

    def __init__(self, dim: int = 512, width: int = 32, samples: int = WINDOW_SAMPLES, channels: str = "raw"):
        super().__init__()
        if samples < self.LEAST_SAMPLES:
            least_s = math.ceil(10 * self.LEAST_SAMPLES / IMU_RATE_HZ) / 10
            raise ValueError(
                f"imu_encoder conv_gru: its convolutions leave nothing of the {samples} samples of a window: use "
                f"--window_s {least_s:g} or more, or --imu_encoder patchtst"
            )
        self.samples = samples
        self.dim = dim
        self.channels = build_channels(channels, samples)
        count = len(CHANNELS_OF[channels])
        self.input_norm = nn.GroupNorm(2, count)
        self.blocks = nn.Sequential(
            _conv_block(count, width, kernel=10),
            _conv_block(width, width, kernel=5),
            _conv_block(width, width, kernel=5),
        )
        self.output_norm = nn.GroupNorm(4, width)
        self.gru = nn.GRU(width, dim, batch_first=True)

    def forward(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, dim)."""
        _check_window(imu, self.samples)
        steps = self.output_norm(self.blocks(self.input_norm(self.channels(imu))))  # (B, width, 5) of 5 s
        _, state = self.gru(steps.transpose(1, 2))
        return state[0]


def _conv_block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, kernel, dilation=2, bias=False), nn.MaxPool1d(3))


def patches_per_window(patch: int, stride: int | None = None, samples: int = WINDOW_SAMPLES) -> int:
    """Number of patches of a window: floor((T - patch) / stride) + 2 (paper, section 3.1).

    Args:
        patch: length, samples.
        stride: from one patch to the next, samples; None is the length.
        samples: T.

    Raises:
        ValueError: if a window does not hold one patch, or patches would leave samples out between them.
    """
    stride = stride or patch
    if not 1 <= patch <= samples:
        raise ValueError(f"imu_patch {patch} must lie between 1 and the {samples} samples of a window")
    if stride > patch:
        raise ValueError(f"imu_stride {stride} is longer than imu_patch {patch}: samples between patches would be lost")
    return (samples - patch) // stride + 2


def _check_window(imu: Tensor, samples: int) -> None:
    if imu.ndim != 3 or imu.shape[1:] != (len(CHANNELS), samples):
        raise ValueError(
            f"IMU windows have shape {tuple(imu.shape)}, want (batch, {len(CHANNELS)}, {samples}): "
            f"{samples / IMU_RATE_HZ:g} s at {IMU_RATE_HZ} Hz, acceleration then angular rate"
        )
