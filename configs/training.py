"""Settings of train.py."""

from pathlib import Path
from typing import Literal

from pydantic import PositiveFloat, ValidationInfo, field_validator, model_validator

from configs.base import (
    MIN_COVERAGE_HELP,
    Config,
    Coverage,
    FolderName,
    FolderNames,
    Name,
    Normalization,
    PositiveInt,
    Share,
    WindowLength,
    as_list,
    setting,
)
from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ, WINDOW_S

ImuEncoderName = Literal["patchtst", "conv_gru", "conv"]
VideoEncoderName = Literal["videomae", "clip", "conv21d"]
LossName = Literal["sigmoid", "softmax", "softmax_soft", "distill"]
HeadsName = Literal["projection", "linear", "none"]
PoolingName = Literal["cls", "mean", "both", "segments"]
ChannelsName = Literal["raw", "invariant", "both"]
MethodName = Literal["imu_video_cross", "imu2clip", "imu_only", "imu_contrast"]
PositiveName = Literal["views", "time", "nearest"]

# What each method is made of; a part that is named on its own replaces the method's (as in the paper's Table 5).
METHODS: dict[str, dict[str, str | list[str]]] = {
    "imu_video_cross": {
        "imu_encoder": "patchtst",
        "imu_pooling": "cls",
        "video_encoder": "videomae",
        "heads": "projection",
        "loss": "sigmoid",
    },
    "imu2clip": {
        "imu_encoder": "conv_gru",
        "imu_pooling": "cls",
        "video_encoder": "clip",
        "heads": "none",
        "loss": "softmax",
    },
    # No error of reconstruction reaches the last CLS tokens, yet the authors' code reads them; mean is the other way.
    "imu_only": {"imu_encoder": "patchtst", "imu_pooling": "cls"},
    "imu_contrast": {
        "imu_encoder": "patchtst",
        "imu_pooling": "cls",
        "heads": "projection",
        "loss": "softmax",
        "positives": ["views"],
    },
}
# Parts that a method does not have
_NO_PARTS = {"imu_only": ("video_encoder", "heads", "loss"), "imu_contrast": ("video_encoder",)}
PRETRAINED_VIDEO = {"videomae": "MCG-NJU/videomae-base-ssv2", "clip": "openai/clip-vit-base-patch32"}


class TrainConfig(Config):
    """train.py"""

    program = "python train.py"
    summary = "Pretrain an IMU encoder: against the video of the same seconds, or from the IMU alone."

    # method
    model: MethodName = setting("imu_video_cross", help="method; sets the parts that are not named on their own")
    imu_encoder: ImuEncoderName | None = setting(None, help="IMU encoder, if not the method's own")
    video_encoder: VideoEncoderName | None = setting(None, help="video encoder, if not the method's own")
    heads: HeadsName | None = setting(
        None, help="projection; linear: dropout and one layer; none: the encoders end in the shared space themselves"
    )
    loss: LossName | None = setting(
        None,
        help="contrastive loss, if not the method's own: sigmoid (SigLIP), softmax (InfoNCE both ways, one-hot "
        "targets), softmax_soft (targets from the similarity within both modalities, as in the authors' code), distill "
        "(the frozen video encoder's similarities to past videos are the targets, after COMODO)",
    )
    temperature: float = setting(0.1, gt=0, help="at the start: logits are cosines divided by it (paper: 0.1)")
    learn_temperature: bool | None = setting(
        None, help="train the temperature; default: yes, but for imu2clip and distill, which as published keep it"
    )
    unimodal_weight: float = setting(
        0.0,
        ge=0,
        lt=1,
        help="w: the loss is 1 - w times that of pairs of IMU and video plus w times that of two views of the IMU",
    )
    positives: list[PositiveName] | None = setting(
        None,
        min_length=1,
        help="of imu_contrast and unimodal_weight, what belongs together: views, two augmented views of a window "
        "(default); time, a window and its neighbour in the recording, for half of the windows if views is named too; "
        "nearest, a view and the embedding of earlier batches that is nearest to the other view",
    )
    queue_size: PositiveInt = setting(4096, help="embeddings of earlier batches that nearest and distill look at")
    teacher_temperature: float = setting(0.1, gt=0, help="of the video encoder's similarities, with --loss distill")
    mask_weight: float = setting(
        0.0, ge=0, help="weight of masked reconstruction beside the loss of imu_contrast; 0: none"
    )
    mask_share: float = setting(0.4, gt=0, lt=1, help="share of the patches that are masked (paper: 0.4)")
    # data
    dataset: FolderNames = setting(help="prepared dataset to train on, or several: folders under --data_root")
    dataset_weights: list[PositiveFloat] | None = setting(
        None,
        help="of several datasets, how much of an epoch is of each, in proportion; default: their numbers of windows, "
        "so that each window comes once",
    )
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    exclude_classes: list[str] | None = setting(None, help="classes of which no window is trained on or held out")
    exclude_subjects: list[Name] | None = setting(
        None, help="people of whose recordings no window is trained on or held out"
    )
    normalize: Normalization = setting(
        "dataset", help="z-score by the mean and std of this unit (paper: recording, and imu_scaling std with it)"
    )
    window_s: WindowLength = setting(WINDOW_S, help="length of a window, seconds, 1 to 30, a multiple of 0.1")
    min_coverage: Coverage = setting(1.0, help=MIN_COVERAGE_HELP)
    window_start: Literal["grid", "random"] = setting(
        "grid",
        help="windows begin where they were cut, or elsewhere in their recording or segment, drawn anew in each epoch; "
        "one that would touch a masked stretch stays where it was cut",
    )
    speed_jitter: float = setting(
        0.0,
        ge=0,
        le=0.5,
        help="j: each epoch a window lasts window_s times exp(U(-j, j)), IMU and video alike; what is played "
        "faster turns faster",
    )
    clip_len: int = setting(10, ge=1, help="frames per clip; one is drawn from each of that many chunks of a window")
    num_workers: int = setting(2, ge=1, help="threads per rank that decode frames")
    held_out: float = setting(
        0.1,
        ge=0,
        lt=1,
        help="share of the windows, at most, kept for the report: whole sessions, or whole recordings of each class",
    )
    max_held_out: PositiveInt = setting(512, help="windows, at most, kept for the report")
    # IMU encoder
    imu_channels: ChannelsName = setting(
        "raw",
        help="what it sees: raw, the sensors' axes; invariant, of each sensor length, part along gravity and part "
        "across, which no rotation changes; both. All but raw need --normalize none",
    )
    imu_scaling: Literal["none", "std"] = setting(
        "none", help="PatchTST scaling of each window by itself (paper: std); std erases gravity and amplitude"
    )
    imu_dim: PositiveInt = setting(128, help="PatchTST width per channel")
    imu_layers: PositiveInt = setting(3, help="PatchTST layers")
    imu_heads: PositiveInt = setting(4, help="PatchTST attention heads")
    imu_ffn: PositiveInt = setting(512, help="PatchTST feed-forward width")
    imu_patch: PositiveInt = setting(16, help="PatchTST patch length, samples at 50 Hz")
    imu_stride: PositiveInt | None = setting(
        None, help="PatchTST samples from one patch to the next; default: the patch length (paper)"
    )
    imu_mixing: Literal["none", "patch"] = setting(
        "none", help="PatchTST: none, each channel on its own (paper); patch, each patch holds all six channels"
    )
    imu_norm: Literal["batchnorm", "layernorm"] = setting("batchnorm", help="PatchTST normalisation between layers")
    imu_dropout: Share = setting(0.1, help="dropout inside the IMU encoder (paper: 0)")
    imu_conv_pooling: Literal["segments", "whole"] = setting(
        "segments",
        help="conv: the means of five stretches of the window; or whole, mean and maximum over all of it, which "
        "keep no order",
    )
    imu_pooling: PoolingName | None = setting(
        None,
        help="what of PatchTST represents a window: its CLS tokens (paper; default), the mean of its patch tokens, "
        "both, or segments: the means of the patch tokens of five stretches of the window",
    )
    # video encoder
    video_weights: str = setting(
        "auto",
        help="starting weights: auto (the method's hub id; of conv21d none), a hub id, a local folder, a checkpoint of "
        "train.py (FILE.pt), or none (scratch, sizes below)",
    )
    image_size: PositiveInt = setting(224, help="side of the frames that the video encoder sees, pixels")
    video_dim: PositiveInt = setting(768, help="video encoder width, with --video_weights none")
    video_layers: PositiveInt = setting(12, help="video encoder layers, with --video_weights none")
    video_heads: PositiveInt = setting(12, help="video encoder heads, with --video_weights none")
    video_ffn: PositiveInt = setting(3072, help="video encoder feed-forward width, with --video_weights none")
    video_patch: PositiveInt = setting(16, help="video encoder patch side, pixels, with --video_weights none")
    video_width: PositiveInt = setting(16, help="channels of the first convolution of conv21d")
    video_dropout: Share = setting(0.0, help="dropout inside the video encoder, with --video_weights none")
    video_stem: bool = setting(
        False,
        help="convolutions of stride 8 instead of VideoMAE's linear map of patches, with --video_weights none; "
        "--video_patch stays in pixels",
    )
    video_pooling: Literal["mean", "local"] = setting(
        "mean",
        help="what of VideoMAE represents a clip: the mean of its tokens (paper), or local: the means of the quarters "
        "of the frame in each quarter of the time",
    )
    frame_box: list[Share] | None = setting(
        None,
        min_length=4,
        max_length=4,
        help="left, top, right and bottom edge of what the video encoder sees, fractions of the stored frame; it is "
        "resized to --image_size; default: the whole frame",
    )
    frame_differences: float = setting(
        0.0, ge=0, help="factor of three more planes, the change since the frame before; 0: none; from scratch only"
    )
    freeze_video: bool | None = setting(
        None,
        help="keep the video encoder as it was loaded; default: with distill, and imu2clip with loaded weights",
    )
    video_draws: PositiveInt | None = setting(
        None,
        help="so many draws of frames, window starts and speeds, which the epochs take in turn; default: drawn anew in "
        "every epoch",
    )
    video_cache: Path | None = setting(
        None,
        help="folder that keeps what a frozen video encoder makes of every window and draw, so that frames are read "
        "once; all ranks must see it",
    )
    video_cache_gb: float = setting(
        4.0, gt=0, help="largest size of that folder, GB; what is in use or was used last stays"
    )
    # heads and loss
    embed_dim: PositiveInt = setting(512, help="size of the shared space; with distill it is the video encoder's")
    head_dropout: Share = setting(0.1, help="dropout in the heads")
    # augmentation of the training batches, off by default
    augment_rotation_deg: float = setting(
        0.0, ge=0, help="one random rotation of a window's acceleration and angular rate, degrees about each axis (std)"
    )
    augment_scale: float = setting(0.0, ge=0, help="random gain of each channel: 1 plus so much (std)")
    augment_bias: float = setting(
        0.0,
        ge=0,
        help="random offset of each channel (std), in units of the z-score, or without one of the dataset's deviation",
    )
    augment_noise: float = setting(0.0, ge=0, help="noise on each sample, in the same units (std)")
    augment_drop_sensor: Share = setting(
        0.0, help="probability that a window loses its acceleration or its angular rate: zeros after the z-score"
    )
    augment_drop_channel: Share = setting(
        0.0, help="probability of each of the six channels to be lost in a window: zeros after the z-score"
    )
    augment_video_shift: float = setting(
        0.0, ge=0, help="random shift of a clip, at most so many pixels of --image_size each way"
    )
    augment_video_scale: float = setting(
        0.0, ge=0, lt=1, help="random zoom of a clip, width and height on their own: 1 plus or minus at most so much"
    )
    augment_video_rotation_deg: float = setting(0.0, ge=0, help="random turn of a clip, degrees (std)")
    # optimisation
    epochs: PositiveInt = setting(50, help="passes over the training windows")
    batch_size: int = setting(32, ge=2, help="windows per step, of all ranks together; must divide among them")
    micro_batch_size: PositiveInt | None = setting(
        None,
        help="clips at a time through the video encoder of each rank: memory of so many, gradient of the whole batch, "
        "a third more computation; default: all at once",
    )
    lr: float = setting(1e-4, gt=0, help="peak learning rate")
    weight_decay: float = setting(0.01, ge=0, help="AdamW decay; never on biases, norms, logit scale and bias")
    warmup: float = setting(0.05, ge=0, lt=1, help="share of steps with a linearly rising rate before the cosine")
    clip_grad: float = setting(1.0, ge=0, help="largest gradient norm; 0 does not clip")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        help="arithmetic of forward and backward; auto: bf16 where the GPU has it, else fp16, fp32 on a CPU",
    )
    compile: bool = setting(False, help="encoders through torch.compile: minutes at the start, then faster on a GPU")
    device: str = setting("auto", help="auto, cpu or cuda; of several ranks each takes its own GPU")
    seed: int = setting(0, ge=0, help="draws of weights, order, frames and dropout")
    # run
    run_name: FolderName | None = setting(None, help="folder under --runs_root; default: model, dataset and time")
    runs_root: Path = setting(Path("runs"), help="folder of the runs")
    save_interval: PositiveInt = setting(5, help="epochs between checkpoints that are kept; the last one always is")
    save_minutes: float = setting(
        30, gt=0, help="minutes after which last.pt is written anew, also in the middle of an epoch"
    )
    eval_interval: PositiveInt = setting(1, help="epochs between retrieval reports on held-out windows")
    log_interval: PositiveInt = setting(10, help="steps between lines of metrics")
    max_steps: PositiveInt | None = setting(None, help="stop after this many steps, for trying things out")
    resume: str = setting("none", help="none, auto (newest valid checkpoint of --run_name), or a checkpoint file")

    @model_validator(mode="before")
    @classmethod
    def _fill_parts(cls, values: dict) -> dict:
        """Parts that are not named take the method's own, so that the resolved config names them all."""
        model = values.get("model", cls.model_fields["model"].default)
        weights = values.get("video_weights", cls.model_fields["video_weights"].default)
        video = values.get("video_encoder") or METHODS.get(model, {}).get("video_encoder")
        if video == "conv21d" and weights == "auto":  # nobody has published any
            weights = "none"
            values = values | {"video_weights": weights}
        distill = values.get("loss") == "distill"
        parts = METHODS.get(model, {}) | {"freeze_video": distill or (model == "imu2clip" and weights != "none")}
        parts |= {"learn_temperature": model != "imu2clip" and not distill}
        if given := sorted(k for k in _NO_PARTS.get(model, ()) if values.get(k) is not None):
            what = "video" if model == "imu_contrast" else "video and no pairs"
            raise ValueError(f"{', '.join(given)}: {model} has no {what}, leave it out")
        return parts | {key: value for key, value in values.items() if not (key in parts and value is None)}

    @field_validator("positives")
    @classmethod
    def _views(cls, positives: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """Beside pairs there are views, if nothing else is named."""
        return ["views"] if positives is None and info.data.get("unimodal_weight") else positives

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        if self.imu_dim % self.imu_heads:
            raise ValueError(f"imu_dim {self.imu_dim} must be a multiple of imu_heads {self.imu_heads}")
        if self.video_dim % self.video_heads:
            raise ValueError(f"video_dim {self.video_dim} must be a multiple of video_heads {self.video_heads}")
        if self.image_size % self.video_patch and self.video_encoder != "conv21d":
            raise ValueError(f"image_size {self.image_size} must be a multiple of video_patch {self.video_patch}")
        if self.clip_len > (frames := round(self.window_s * FRAME_RATE_HZ)):
            raise ValueError(f"clip_len {self.clip_len} must not exceed the {frames} frames of {self.window_s:g} s")
        if self.video_encoder == "videomae" and self.clip_len % 2:
            raise ValueError(
                f"clip_len {self.clip_len} must be even: VideoMAE joins frames in pairs, an odd one is lost"
            )
        if self.imu_encoder != "patchtst":
            if self._masks:
                raise ValueError(
                    f"imu_encoder {self.imu_encoder} has no patches to mask: imu_only and mask_weight need patchtst"
                )
            if self.imu_pooling != "cls":
                raise ValueError(
                    f"imu_pooling {self.imu_pooling} is for patchtst: {self.imu_encoder} has no tokens, leave it out"
                )
        if self.dataset_weights is not None and not 1 < len(self.datasets) == len(self.dataset_weights):
            raise ValueError(
                f"dataset_weights {' '.join(f'{w:g}' for w in self.dataset_weights)}: give one for each of several "
                f"datasets, here there are {len(self.datasets)}"
            )
        if self.imu_encoder != "conv" and self.imu_conv_pooling != "segments":
            raise ValueError(
                f"imu_conv_pooling {self.imu_conv_pooling} is for conv, not {self.imu_encoder}: leave it out"
            )
        self._check_patches()
        self._check_video()
        self._check_augmentation()
        self._check_positives()
        self._check_frozen()
        if self.video_encoder is None and self.micro_batch_size is not None:
            raise ValueError(f"micro_batch_size is for the video encoder, {self.model} has none")
        if self.resume == "auto" and self.run_name is None:
            raise ValueError("resume auto needs run_name, to know which run to continue")
        return self

    def _check_patches(self) -> None:
        if self.imu_stride is not None and self.imu_stride > self.imu_patch:
            raise ValueError(
                f"imu_stride {self.imu_stride} is longer than imu_patch {self.imu_patch}: samples would be lost"
            )
        if self._masks and (self.imu_mixing != "none" or self.imu_stride not in (None, self.imu_patch)):
            raise ValueError(
                "imu_stride and imu_mixing: single channels' patches, which do not overlap, are masked: leave out"
            )

    def _check_positives(self) -> None:
        pairs = self.video_encoder is not None
        if self.mask_weight and self.model != "imu_contrast":
            raise ValueError(f"mask_weight is for imu_contrast, not {self.model}: leave it out")
        if self.unimodal_weight and not pairs:
            raise ValueError(f"unimodal_weight: {self.model} has no pairs, leave it out")
        if self.model != "imu_contrast" and not self.unimodal_weight:
            if self.positives:
                raise ValueError("positives are for imu_contrast and for pairs with --unimodal_weight: leave them out")
            return
        if self.loss != "softmax":
            raise ValueError(f"loss {self.loss}: contrast of views is trained with softmax: use --loss softmax")
        if pairs and ("time" in self.positives or "views" not in self.positives):
            raise ValueError("positives: beside pairs of IMU and video there are views, or views nearest")
        if "time" not in self.positives and not self.augments_imu:
            raise ValueError("the two views of a window are the same: add augment_* of the IMU, or --positives time")
        if "nearest" in self.positives:
            self._check_queue()

    def _check_queue(self) -> None:
        if self.queue_size < self.batch_size:
            raise ValueError(f"queue_size {self.queue_size} must hold a batch: at least {self.batch_size}")

    def _check_frozen(self) -> None:
        if self.freeze_video and self.video_weights == "none":
            raise ValueError("freeze_video keeps loaded weights, and video_weights none loads none: drop one of them")
        if self.loss == "distill":
            if not self.freeze_video or self.learn_temperature:
                raise ValueError("loss distill: video encoder and temperature stay: leave their settings out")
            self._check_queue()
        repeated = self.freeze_video and self.video_draws is not None and not self.augments_video
        if self.video_cache is not None and not repeated:
            raise ValueError("video_cache needs --freeze_video and --video_draws, and no augment_video_*")
        if self.video_draws is not None and self.video_encoder is None:
            raise ValueError(f"video_draws: {self.model} has no video, leave it out")

    def _check_video(self) -> None:
        trained = self.video_weights.endswith(".pt")
        if self.video_encoder == "conv21d" and self.video_weights != "none" and not trained:
            raise ValueError(f"conv21d: {self.video_weights} is no checkpoint of train.py: leave video_weights out")
        if self.video_encoder != "videomae" and (self.video_stem or self.video_pooling != "mean"):
            raise ValueError("video_stem and video_pooling are for videomae, leave them out")
        published = self.video_weights != "none" and not trained
        if published and (self.video_stem or self.video_dropout or self.frame_differences):
            raise ValueError(
                "video_stem, video_dropout and frame_differences do not fit published weights: add --video_weights none"
            )
        if self.video_encoder == "clip" and (self.frame_differences or self.video_dropout):
            raise ValueError("frame_differences and video_dropout: clip sees a single frame and has none, leave out")
        if self.video_stem and (self.image_size % 8 or self.video_patch % 8 or self.video_dim % 8):
            raise ValueError(
                f"video_stem has a stride of 8: image_size {self.image_size}, video_patch {self.video_patch} and "
                f"video_dim {self.video_dim} must be multiples of 8"
            )
        if self.video_pooling == "local" and (self.clip_len < 8 or self.image_size < 2 * self.video_patch):
            raise ValueError(
                f"video_pooling local needs a clip_len of 8 and two patches each way: clip_len is {self.clip_len}, "
                f"image_size {self.image_size} and video_patch {self.video_patch}"
            )
        if self.frame_box is not None:
            left, top, right, bottom = self.frame_box
            if left >= right or top >= bottom:
                raise ValueError(f"frame_box {left:g} {top:g} {right:g} {bottom:g}: give left, top, right, bottom")

    def _check_augmentation(self) -> None:
        if self.imu_channels != "raw" and self.normalize != "none":
            raise ValueError(
                f"imu_channels {self.imu_channels}: gravity is found in m/s², which normalize {self.normalize} takes "
                "away: use normalize none; the channels are of about unit size without a z-score"
            )
        if self.augments and self.normalize == "window":
            raise ValueError(
                "augment_*: with normalize window the z-score would be that of a window before it was changed: use "
                "normalize dataset, recording or none"
            )
        if self.video_encoder is None and self.augments_video:
            raise ValueError(f"augment_video_*: {self.model} has no video, leave it out")

    @property
    def _masks(self) -> bool:
        """Whether patches are masked and reconstructed."""
        return self.model == "imu_only" or self.mask_weight > 0

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets to train on."""
        return as_list(self.dataset)

    @property
    def augments_video(self) -> bool:
        """Whether clips are changed at random while training."""
        return bool(self.augment_video_shift or self.augment_video_scale or self.augment_video_rotation_deg)

    @property
    def augments_imu(self) -> bool:
        """Whether windows of the IMU are changed at random while training."""
        changed = (self.augment_rotation_deg, self.augment_scale, self.augment_bias, self.augment_noise)
        return any((*changed, self.augment_drop_sensor, self.augment_drop_channel))

    @property
    def augments(self) -> bool:
        """Whether training batches are changed at random."""
        return self.augments_imu or self.augments_video

    @property
    def window_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_s * IMU_RATE_HZ)

    def batch_size_per_rank(self, ranks: int) -> int:
        """Windows of each step that one rank computes.

        One will do: the losses and the batch normalisation (models/batchnorm.py) are over the rows of all ranks.

        Raises:
            ValueError: if the batch does not divide among the ranks.
        """
        if self.batch_size % ranks:
            fewer = max(r for r in range(1, ranks) if self.batch_size % r == 0)
            raise ValueError(
                f"batch_size {self.batch_size} is that of all ranks together and does not divide among {ranks}: start "
                f"{fewer}, or give a multiple of {ranks}, which is another experiment"
            )
        return self.batch_size // ranks

    @property
    def video_origin(self) -> str | None:
        """Where the video encoder comes from, in words for tables; None without one."""
        if self.video_encoder is None:
            return None
        if self.video_weights == "none":
            if self.video_encoder == "conv21d":
                return "2-D convolutions and convolutions in time, trained along"
            size = "" if self.video_dim >= 768 and self.video_layers >= 12 else "small "
            return size + {"videomae": "VideoMAE", "clip": "ViT"}[self.video_encoder] + " trained along"
        name = PRETRAINED_VIDEO[self.video_encoder] if self.video_weights == "auto" else self.video_weights
        if name.endswith(".pt"):
            name = f"video encoder of {Path(name).parent.parent.name or name}"
        elif name.count("/") > 1 or name.startswith((".", "/", "~")):
            name = Path(name).name  # of a local folder no more than that
        return f"{name}, {'frozen' if self.freeze_video else 'trained on'}"
