"""The models, and how settings choose among them. Only this file knows a config."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.load import build
from configs.training import PRETRAINED_VIDEO, TrainConfig
from models.augmentation import Augmentation
from models.channels import CHANNELS_OF
from models.classifier import Classifier, classifier_folder, read_classifier
from models.contrast import ImuContrast
from models.conv import Conv21dEncoder, ConvImuEncoder
from models.distill import Distillation, DistillingEncoder
from models.dual_encoder import DualEncoder
from models.frames import planes_of
from models.heads import LinearHead, ProjectionHead
from models.imu import ConvGRUEncoder, PatchTSTEncoder, patches_per_window
from models.masked import MaskedReconstruction
from models.novelty import Novelty
from models.objectives import Contrast, CrossModal, Masked
from models.pretrained import weights_folder
from models.primus import Primus, PrimusEncoder
from models.video import STEM_STRIDE, ClipFrameEncoder, VideoMAEEncoder
from utils import checkpoint
from utils.distributed import Ranks, on_first_rank
from utils.encoder_file import read_encoder

IMU_ENCODERS = {"patchtst": PatchTSTEncoder, "conv_gru": ConvGRUEncoder, "conv": ConvImuEncoder}
VIDEO_ENCODERS = {"videomae": VideoMAEEncoder, "clip": ClipFrameEncoder, "conv21d": Conv21dEncoder}
HEADS = {"projection": ProjectionHead, "linear": LinearHead}
Model = DualEncoder | MaskedReconstruction | ImuContrast


def build_imu_encoder(config: TrainConfig) -> nn.Module:
    """An IMU encoder with random weights: (B, 6, T) -> (B, ``dim``)."""
    if config.imu_encoder != "patchtst":
        pooling = {"pooling": config.imu_conv_pooling} if config.imu_encoder == "conv" else {}
        return IMU_ENCODERS[config.imu_encoder](samples=config.window_samples, channels=config.imu_channels, **pooling)
    return PatchTSTEncoder(
        dim=config.imu_dim,
        layers=config.imu_layers,
        heads=config.imu_heads,
        ffn=config.imu_ffn,
        patch=config.imu_patch,
        stride=config.imu_stride,
        dropout=config.imu_dropout,
        scaling=config.imu_scaling,
        norm=config.imu_norm,
        pooling=config.imu_pooling,
        mixing=config.imu_mixing,
        samples=config.window_samples,
        channels=config.imu_channels,
    )


def build_video_encoder(config: TrainConfig) -> nn.Module:
    """A video encoder: published weights, those of a checkpoint, or random ones with ``--video_weights none``.

    Raises:
        WeightsError: if published weights cannot be had or do not load whole.
        CheckpointError: as of ``load_video_encoder``.
    """
    if config.video_weights.endswith(".pt"):
        return load_video_encoder(Path(config.video_weights), config)
    encoder, options = VIDEO_ENCODERS[config.video_encoder], _video_options(config)
    if config.video_weights != "none":
        name = PRETRAINED_VIDEO[config.video_encoder] if config.video_weights == "auto" else config.video_weights
        return encoder.from_weights(weights_folder(name), config.clip_len, config.image_size, **options)
    if config.video_encoder == "conv21d":
        sizes = {"image_size": config.image_size, "width": config.video_width, "dropout": config.video_dropout}
        return encoder.from_config(sizes, **options)
    sizes = {
        "hidden_size": config.video_dim,
        "num_hidden_layers": config.video_layers,
        "num_attention_heads": config.video_heads,
        "intermediate_size": config.video_ffn,
        "patch_size": config.video_patch,
        "image_size": config.image_size,
    }
    if config.video_encoder == "clip":
        return encoder.from_config(sizes | {"projection_dim": config.embed_dim}, **options)
    sizes |= {"num_frames": config.clip_len, "num_channels": planes_of(config.frame_differences)}
    sizes |= dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), config.video_dropout)
    if config.video_stem:  # of whose places the transformer is then made
        sizes |= {name: sizes[name] // STEM_STRIDE for name in ("patch_size", "image_size")}
        sizes["num_channels"] = config.video_dim // 2
    return encoder.from_config(sizes, **options)


def _video_options(config: TrainConfig) -> dict[str, Any]:
    """What an encoder's architecture does not say: which part of the frames it is given, and how tokens are pooled."""
    options: dict[str, Any] = {"box": config.frame_box}
    if config.video_encoder != "clip":
        options["differences"] = config.frame_differences
    if config.video_encoder == "videomae":
        options |= {"pooling": config.video_pooling, "stem": config.video_stem}
    return options


def build_objective(config: TrainConfig) -> CrossModal | Masked | Contrast:
    """What the method makes of a batch."""
    if config.model in ("imu_only", "imu_contrast"):
        patches = patches_per_window(config.imu_patch, config.imu_stride, config.window_samples)
        channels = len(CHANNELS_OF[config.imu_channels])
        if config.model == "imu_only":
            return Masked(config.seed, config.mask_share, patches, channels)
        alone = build_augmentation(config, Ranks(0, 1, torch.device("cpu")))  # rank 0 makes the report
        masks = (config.mask_weight, config.mask_share, patches, channels)
        return Contrast(config.seed, config.positives, *masks, alone)
    frames_used = VIDEO_ENCODERS[config.video_encoder].frames_used(config.clip_len)
    if config.loss == "distill":
        return Distillation(config.teacher_temperature, frames_used)
    if config.unimodal_weight:
        return Primus(config.unimodal_weight, frames_used)
    return CrossModal(config.loss, frames_used)


def build_augmentation(config: TrainConfig, ranks: Ranks) -> Augmentation | None:
    """Random changes of training batches; None where the settings ask for none."""
    if not config.augments:
        return None
    prefix = "augment_"
    amounts = {name.removeprefix(prefix): value for name, value in config if name.startswith(prefix)}
    return Augmentation(config.seed, config.image_size, **amounts, rank=ranks.rank, world_size=ranks.world_size)


def build_model(config: TrainConfig, video_config: dict[str, Any] | None = None) -> Model:
    """The model of a config, on the CPU.

    Args:
        video_config: architecture of the video encoder, as a checkpoint or another rank has it; its weights are then
            random, to be overwritten, and neither the hub nor a folder of weights is touched.

    Raises:
        WeightsError: if published weights are wanted and cannot be had.
        ValueError: if the encoders do not end in the shared space and no head takes them there.
    """
    imu_encoder = build_imu_encoder(config)
    if config.model == "imu_only":
        return MaskedReconstruction(imu_encoder)
    if config.model == "imu_contrast":
        return ImuContrast(
            imu_encoder,
            _head(config, "imu", imu_encoder, config.embed_dim),
            config.embed_dim,
            temperature=config.temperature,
            learn_temperature=bool(config.learn_temperature),
            queue_size=config.queue_size if "nearest" in config.positives else 0,
            masked=config.mask_weight > 0,
        )
    if video_config is None:
        video_encoder = build_video_encoder(config)
    else:
        video_encoder = VIDEO_ENCODERS[config.video_encoder].from_config(video_config, **_video_options(config))
    options = {
        "micro_batch": config.micro_batch_size,
        "temperature": config.temperature,
        "learn_temperature": bool(config.learn_temperature),
        "learn_bias": config.loss == "sigmoid",
    }
    dim = video_encoder.dim if config.loss == "distill" else config.embed_dim
    imu_head = _head(config, "imu", imu_encoder, dim)
    if config.loss == "distill":
        parts = imu_encoder, video_encoder, imu_head, nn.Identity()
        return DistillingEncoder(*parts, queue_size=config.queue_size, **options)
    parts = imu_encoder, video_encoder, imu_head, _head(config, "video", video_encoder, dim)
    options["freeze_video"] = bool(config.freeze_video)
    if config.unimodal_weight:
        queue_size = config.queue_size if "nearest" in config.positives else 0
        view_head = _head(config, "imu", imu_encoder, dim)
        return PrimusEncoder(*parts, view_head=view_head, dim=dim, queue_size=queue_size, **options)
    return DualEncoder(*parts, **options)


def _head(config: TrainConfig, side: str, encoder: nn.Module, dim: int) -> nn.Module:
    """From an encoder to a space of so many dimensions."""
    if config.heads != "none":
        return HEADS[config.heads](encoder.dim, dim, config.head_dropout)
    if encoder.dim != dim:
        raise ValueError(
            f"heads none: the {side} encoder ends in {encoder.dim} values and embed_dim is {dim}: "
            "use --heads projection or linear, or sizes that agree"
        )
    return nn.Identity()


def build_on_first_rank(config: TrainConfig) -> tuple[Model, dict[str, Any] | None]:
    """The model, and the architecture of its video encoder. Only rank 0 reads published weights.

    The other ranks get random ones in the same architecture, for DistributedDataParallel to overwrite.

    Raises:
        WeightsError: if published weights are wanted and cannot be had; ``RankError`` on the other ranks.
    """
    built = []

    def build_and_keep() -> dict[str, Any] | None:
        built.append(build_model(config))
        return built[0].video_config

    video_config = on_first_rank(build_and_keep)
    return (built[0] if built else build_model(config, video_config)), video_config


def load_imu_encoder(
    path: Path, pooling: str | None = None, window_s: float | None = None
) -> tuple[nn.Module, TrainConfig]:
    """The IMU encoder of a pretraining checkpoint or of scripts.export, in eval mode, and its pretraining's config.

    Args:
        pooling: what of PatchTST represents a window, which takes no weights; None leaves it as in pretraining.
        window_s: length of the windows that it shall encode, seconds; None: whatever it was trained on.

    Raises:
        CheckpointError: if the file is missing, damaged, of another kind, does not fit its own config, or was trained
            on windows of another length.
        ConfigError: if that config holds what no setting allows any more, or the encoder has nothing to pool.
    """
    state, facts = read_encoder(path)
    chosen = {} if pooling is None else {"imu_pooling": pooling}
    config = build(TrainConfig, facts["config"] | chosen, str(path))
    _check_length(config, window_s, path)
    encoder = build_imu_encoder(config)
    checkpoint.load_weights(encoder, state, path)
    return encoder.eval(), config


def load_video_encoder(path: Path, config: TrainConfig) -> nn.Module:
    """The video encoder of a checkpoint of train.py.

    Args:
        config: of the run that takes it; it must show its encoder the same frames.

    Raises:
        CheckpointError: if the file is missing, damaged or of another kind, or a setting of the encoder differs.
        ConfigError: if the config of the checkpoint holds what no setting allows any more.
    """
    payload = checkpoint.load(path, kind="pretrain")
    origin = build(TrainConfig, payload["config"], str(path))
    names = ("video_encoder", "video_pooling", "video_stem", "video_dropout")
    names += ("image_size", "clip_len", "frame_box", "frame_differences")
    given = {name: (getattr(origin, name), getattr(config, name)) for name in names}
    if differing := [f"{name} was {was}, is {now}" for name, (was, now) in given.items() if was != now]:
        raise checkpoint.CheckpointError(f"video_weights {path}: {'; '.join(differing)}: give the same as there")
    encoder = VIDEO_ENCODERS[config.video_encoder].from_config(payload["video_config"], **_video_options(origin))
    prefix = "video_encoder."
    state = {k.removeprefix(prefix): v for k, v in payload["model"].items() if k.startswith(prefix)}
    checkpoint.load_weights(encoder, state, path)
    return encoder


def encoder_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings that rebuild the IMU encoder, and say what it has learnt with: nothing of the machine."""
    own = {"model", "dataset", "window_s", "normalize", "loss", "positives", "unimodal_weight"}
    prefixes = ("imu_", "augment_")
    return {name: value for name, value in config.model_dump().items() if name in own or name.startswith(prefixes)}


def load_classifier(name: str | Path) -> Classifier:
    """A classifier that ``downstream.py --save_model`` wrote, in eval mode on the CPU. No code of it runs.

    Args:
        name: its folder, the name of one that ships with this software, or a hub id.

    Raises:
        CheckpointError: if there is none, a file is missing or damaged, or the weights do not fit the settings.
        ConfigError: if the encoder's settings hold what no setting allows.
        WeightsError: if the hub cannot be reached or lacks it.
    """
    folder = classifier_folder(str(name))
    facts, weights = read_classifier(folder)
    config = build(TrainConfig, facts.encoder, str(folder))
    if config.window_s != facts.window_s:
        raise checkpoint.CheckpointError(
            f"{folder}: window_s is {facts.window_s:g}, that of its encoder {config.window_s:g}: save it again"
        )
    encoder = build_imu_encoder(config)
    blank = torch.zeros(len(facts.classes), encoder.dim)
    novelty, pretrained = None, None
    if facts.novelty is not None:
        of = facts.novelty
        novelty = Novelty.blank(len(facts.classes), encoder.dim, of.components, of.threshold)
        pretrained = None if of.own_encoder else build_imu_encoder(config)
    classifier = Classifier(
        facts, encoder, blank, blank[:, 0], torch.zeros(6), torch.ones(6), novelty=novelty, pretrained=pretrained
    )
    checkpoint.load_weights(classifier, weights, folder)
    return classifier


def load_dual_encoder(path: Path, window_s: float | None = None) -> tuple[DualEncoder, TrainConfig]:
    """Both encoders of a pretraining checkpoint, in eval mode, and the config. The hub is not contacted.

    Args:
        window_s: as of ``load_imu_encoder``.

    Raises:
        CheckpointError: if the file is missing, damaged, of another kind, without a video encoder, does not fit its own
            config, or was trained on windows of another length.
        ConfigError: if that config holds what no setting allows any more.
    """
    payload = checkpoint.load(path, kind="pretrain")
    config = build(TrainConfig, payload["config"], str(path))
    if config.video_encoder is None:
        raise checkpoint.CheckpointError(
            f"{path}: was trained as {config.model} and has no video encoder: use downstream.py, or another checkpoint"
        )
    _check_length(config, window_s, path)
    model = build_model(config, payload["video_config"])
    checkpoint.load_weights(model, payload["model"], path)
    return model.eval(), config


def _check_length(config: TrainConfig, window_s: float | None, path: Path) -> None:
    if window_s not in (None, config.window_s):
        raise checkpoint.CheckpointError(
            f"{path}: was trained on windows of {config.window_s:g} s, not of {window_s:g} s: leave --window_s out, or "
            f"pretrain with --window_s {window_s:g}"
        )
