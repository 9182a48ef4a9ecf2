"""Every setting of every command: the only source of flags, YAML keys, defaults and help.

One flat, frozen model per command. A field's help says what it does and in which unit; what cannot go together is
refused here, before any data, checkpoint or network is touched.
"""

import warnings
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from configs.constants import WINDOW_S

Normalization = Literal["recording", "dataset", "window", "none"]
ImuEncoderName = Literal["patchtst", "conv_gru"]
VideoEncoderName = Literal["videomae", "clip"]
LossName = Literal["sigmoid", "softmax", "softmax_soft"]
HeadsName = Literal["projection", "none"]
PoolingName = Literal["cls", "mean", "both"]
MethodName = Literal["imu_video_cross", "imu2clip", "imu_only"]

# What each method of the paper is made of; a part that is named on its own replaces the method's (Table 5).
METHODS: dict[str, dict[str, str]] = {
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
}
_PARTS_OF_PAIRS = ("video_encoder", "heads", "loss")
# AdamW rate of the encoder where it learns with the layer: the paper's for finetuning; from scratch, where it names
# none, that of its pretraining.
ENCODER_LR = {"finetune": 1e-6, "supervised": 1e-4}
LEAST_LR = 1e-7  # where the cosine of an evaluation ends, as in the authors' code
PRETRAINED_VIDEO = {"videomae": "MCG-NJU/videomae-base-ssv2", "clip": "openai/clip-vit-base-patch32"}


def setting(default: Any = ..., *, help: str, **limits: Any) -> Any:
    """A field with its help text; without a default it is required."""
    return Field(default, description=help, **limits)


PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} must be a plain folder name, without slashes")
    return name


FolderName = Annotated[str, AfterValidator(_plain_name)]


class Config(BaseModel):
    """What all commands share: strict names, no change after the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    program: ClassVar[str]
    same: ClassVar[tuple[tuple[str, str], ...]] = ()  # pairs of settings that say the same thing
    summary: ClassVar[str]  # first lines of --help
    positional: ClassVar[tuple[str, ...]] = ()  # fields whose values stand on the command line without a flag


class SimulateConfig(Config):
    """python -m scripts.simulate"""

    program = "python -m scripts.simulate"
    summary = "Write simulated raw recordings in the layouts of Ego4D, UESTC-MMEA-CL and the PD study."

    out: Path = setting(Path("raw"), help="folder to write; one subfolder per dataset: ego4d, mmea, pd")
    seed: int = setting(0, ge=0, help="everything drawn follows from it")
    ego4d_hours: float = setting(2.0, ge=0, help="length of the unlabelled Ego4D recordings, hours; 0 leaves them out")
    mmea_windows_per_class: int = setting(75, ge=0, help="5 s windows of each MMEA class, at least; 0 leaves MMEA out")
    pd_windows_per_class: int = setting(75, ge=0, help="5 s windows of each PD class, at least; 0 leaves PD out")
    ego4d_fps: PositiveInt = setting(10, help="frame rate of the Ego4D videos, frames per second")
    frame_size: int = setting(64, ge=16, le=512, multiple_of=2, help="side of the square video frames, pixels")
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")
    preview: Path | None = setting(None, help="PNG to draw instead: frames and IMU of each activity; no recordings")


class PrepareConfig(Config):
    """python -m scripts.prepare"""

    program = "python -m scripts.prepare"
    summary = "Turn raw recordings into a prepared dataset: 50 Hz IMU arrays, 10 fps JPEG frames, one table."

    format: Literal["ego4d", "mmea", "pd", "gopro", "classyglass", "stanford_fog", "table"] | None = setting(
        None, help="layout of the raw folder (required, except with verify)"
    )
    raw: Path | None = setting(None, help="folder with the raw recordings, only read (required, except with verify)")
    out: Path | None = setting(
        None,
        help="folder of the prepared dataset, such as data/mmea; a second call does the rest (required, except with "
        "verify)",
    )
    verify: Path | None = setting(
        None, help="prepare nothing: read every file of this prepared dataset again and name what is damaged"
    )
    frame_size: int = setting(224, ge=16, multiple_of=2, help="side of the stored square frames, pixels")
    jpeg_quality: int = setting(90, ge=1, le=100, help="JPEG quality of the stored frames")
    store: Literal["jpeg", "raw"] = setting(
        "jpeg", help="frames as JPEG, or as pixels: 13 times the bytes, read many times faster, for small datasets"
    )
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")
    backend: Literal["local", "dask"] = setting("local", help="work on this machine, or on a Dask cluster")
    scheduler: str | None = setting(None, help="dask: address of the scheduler, such as tcp://host:8786")
    shard: str | None = setting(
        None,
        pattern=r"^[1-9][0-9]*/[1-9][0-9]*$",
        help="N/M: prepare the N-th of M shares of the recordings, for batch queues; the last one writes the tables",
    )
    max_rejected_share: Share = setting(0.5, help="fail if more than this share of the recordings is left out whole")
    strict: bool = setting(False, help="fail if gravity says that the units of a recording are wrong; else: warn")
    # Quality: windows that touch a stretch (5 s) beyond a limit are not used; the files stay, masked.csv says why
    max_clipped_share: Share = setting(0.05, help="mask: share of samples that one axis is at the end of its range")
    max_flat_s: float = setting(2.5, gt=0, help="mask: time for which one axis keeps its value exactly, seconds")
    max_copied_share: Share = setting(0.95, help="mask: share of samples in which two axes of a sensor are equal")
    max_bridged_share: Share = setting(0.3, help="mask: share of the time interpolated in gaps of up to 0.1 s")
    max_rate_drift: float = setting(0.1, gt=0, help="mask: share by which the sensor's rate is off its own mean")
    max_frozen_share: Share = setting(
        0.8, help="mask: share of frames equal to the one before, of 10 a second; 0.8 leaves 2 new ones a second"
    )
    min_contrast: float = setting(
        2.0, ge=0, help="mask: standard deviation of grey levels, 0 to 255: black, white, covered lens"
    )
    max_duration_mismatch_s: float = setting(
        1.0, gt=0, help="mask: IMU and video differ in length, where the table has no times of its own, seconds"
    )
    max_offset_s: float | None = setting(
        None,
        ge=0.04,
        lt=3,
        help="mask: offset between IMU and video, seconds; runs scripts.check_sync where there is no fresh sync.csv",
    )
    subset: list[str] | None = setting(None, help="classyglass: datasets to take, such as Dataset_1A; default: all")
    imu_columns: list[str] | None = setting(
        None,
        min_length=6,
        max_length=6,
        help="pd: columns of acceleration x y z, angular rate x y z; default: acc_x ...",
    )
    time_column: str | None = setting(None, help="pd: column of the time, seconds or time of day; default: time")
    date_column: str | None = setting(
        None, help="pd: column of the date, where that of the time holds the time of day alone; default: date"
    )
    rate_hz: float | None = setting(
        None, gt=0, help="pd: rows are evenly spaced, so many a second (authors: 50); default: as the time column says"
    )
    acc_unit: Literal["m/s2", "g"] | None = setting(None, help="pd: unit of the acceleration; default: m/s2")
    gyro_unit: Literal["rad/s", "deg/s"] | None = setting(None, help="pd: unit of the angular rate; default: rad/s")
    acc_counts_per_g: float | None = setting(
        None, gt=0, help="pd: acceleration is raw counts, so many of them 1 g (authors: 4096)"
    )
    gyro_counts_per_deg_s: float | None = setting(
        None, gt=0, help="pd: angular rate is raw counts, so many of them 1 deg/s (authors: 32.8)"
    )
    pad_last: bool | None = setting(
        None,
        help="pd: fill up the last window of recordings of 4 s or more with the mean of their channels, 0 after a "
        "z-score by recording (authors: zeros); default: what is shorter than a window is not used",
    )
    uids: Path | None = setting(
        None, help="ego4d: file with the video uids to take, one per line, first column; default: all with IMU"
    )
    video_size: Literal["full_scale", "video_540ss"] | None = setting(
        None, help="ego4d: folder of the videos; default: full_scale where it is there, else video_540ss"
    )
    skip_windows: Path | None = setting(
        None,
        help="ego4d: JSON list of stretches of videos that no window may touch, [[uid, start_s, end_s], ...]; it may "
        "name videos that are not here",
    )
    sensor: Literal["chest", "head"] | None = setting(None, help="stanford_fog: sensor to take; default: chest")
    table: Path | None = setting(None, help="table: YAML that describes the files, see configs/table.py")

    @model_validator(mode="after")
    def _check(self) -> "PrepareConfig":
        needed = ("format", "raw", "out")
        if self.verify is not None:
            if given := [name for name in needed if getattr(self, name) is not None]:
                raise ValueError(f"verify reads a dataset that is prepared already: leave out {', '.join(given)}")
            return self
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError("; ".join(f"{name} is missing: give --{name}" for name in missing))
        for names, wanted in (
            (("subset",), "classyglass"),
            (("imu_columns", "time_column", "date_column", "rate_hz", "acc_unit", "gyro_unit"), "pd"),
            (("acc_counts_per_g", "gyro_counts_per_deg_s", "pad_last"), "pd"),
            (("uids", "video_size", "skip_windows"), "ego4d"),
            (("sensor",), "stanford_fog"),
            (("table",), "table"),
        ):
            given = [name for name in names if getattr(self, name) is not None]
            if given and self.format != wanted:
                raise ValueError(f"{', '.join(given)} only serves with format {wanted}, not {self.format}")
        for name, others in (
            ("acc_counts_per_g", ("acc_unit",)),
            ("gyro_counts_per_deg_s", ("gyro_unit",)),
            ("rate_hz", ("time_column", "date_column")),
        ):
            given = [other for other in others if getattr(self, other) is not None]
            if given and getattr(self, name) is not None:
                raise ValueError(f"{name} stands in place of {', '.join(given)}: give one or the other")
        if self.format == "table" and self.table is None:
            raise ValueError("table is missing: format table needs --table FILE.yaml that describes the files")
        if (self.scheduler is None) == (self.backend == "dask"):
            raise ValueError("backend dask and scheduler ADDRESS go together: give both or neither")
        if self.backend == "dask" and self.num_workers:
            raise ValueError("num_workers has no use with backend dask: the cluster has as many workers as it has")
        if self.shard is not None:
            number, count = map(int, self.shard.split("/"))
            if number > count:
                raise ValueError(f"shard {self.shard}: shards are numbered 1/{count} to {count}/{count}")
        out, raw = self.out.resolve(), self.raw.resolve()
        if out == raw or raw in out.parents or out in raw.parents:
            raise ValueError(f"out {self.out} and raw {self.raw} must not lie in one another: raw is only read")
        return self


class TrainConfig(Config):
    """train.py"""

    program = "python train.py"
    summary = "Pretrain an IMU encoder: against the video of the same five seconds, or from the IMU alone."

    # method
    model: MethodName = setting("imu_video_cross", help="method; sets the parts that are not named on their own")
    imu_encoder: ImuEncoderName | None = setting(None, help="IMU encoder, if not the method's own")
    video_encoder: VideoEncoderName | None = setting(None, help="video encoder, if not the method's own")
    heads: HeadsName | None = setting(None, help="projection, or none: the encoders end in the shared space themselves")
    loss: LossName | None = setting(
        None,
        help="contrastive loss, if not the method's own: sigmoid (SigLIP), softmax (InfoNCE both ways, one-hot "
        "targets), softmax_soft (targets from the similarity within both modalities, as in the authors' code)",
    )
    temperature: float = setting(0.1, gt=0, help="at the start: logits are cosines divided by it (paper: 0.1)")
    learn_temperature: bool = setting(True, help="train the temperature; IMU2CLIP as published keeps it")
    mask_share: float = setting(0.4, gt=0, lt=1, help="share of the patches that imu_only masks (paper: 0.4)")
    # data
    dataset: FolderName = setting(help="prepared dataset to train on, a folder under --data_root")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    exclude_classes: list[str] | None = setting(None, help="classes of which no window is trained on or held out")
    normalize: Normalization = setting(
        "dataset", help="z-score by the mean and std of this unit (paper: recording, and imu_scaling std with it)"
    )
    clip_len: int = setting(10, ge=1, le=50, help="frames per 5 s clip; one is drawn from each of that many chunks")
    num_workers: int = setting(2, ge=1, help="threads per rank that decode frames")
    decode_device: Literal["cpu", "cuda"] = setting("cpu", help="what decodes frames: the threads, or the rank's GPU")
    held_out: float = setting(
        0.1,
        ge=0,
        lt=1,
        help="share of the windows, at most, kept for the report: whole sessions, or whole recordings of each class",
    )
    max_held_out: PositiveInt = setting(512, help="windows, at most, kept for the report")
    # IMU encoder
    imu_scaling: Literal["none", "std"] = setting(
        "none", help="PatchTST scaling of each window by itself (paper: std); std erases gravity and amplitude"
    )
    imu_dim: PositiveInt = setting(128, help="PatchTST width per channel")
    imu_layers: PositiveInt = setting(3, help="PatchTST layers")
    imu_heads: PositiveInt = setting(4, help="PatchTST attention heads")
    imu_ffn: PositiveInt = setting(512, help="PatchTST feed-forward width")
    imu_patch: PositiveInt = setting(16, help="PatchTST patch length and stride, samples at 50 Hz")
    imu_norm: Literal["batchnorm", "layernorm"] = setting("batchnorm", help="PatchTST normalisation between layers")
    imu_dropout: Share = setting(0.1, help="dropout inside the IMU encoder (paper: 0)")
    imu_pooling: PoolingName | None = setting(
        None,
        help="what of PatchTST represents a window: its CLS tokens (paper; default), the mean of its patch tokens, or "
        "both",
    )
    # video encoder
    video_weights: str = setting(
        "auto",
        help="starting weights: auto (the method's hub id), a hub id, a local folder, or none (scratch, sizes below)",
    )
    image_size: PositiveInt = setting(224, help="side of the frames that the video encoder sees, pixels")
    video_dim: PositiveInt = setting(768, help="video encoder width, with --video_weights none")
    video_layers: PositiveInt = setting(12, help="video encoder layers, with --video_weights none")
    video_heads: PositiveInt = setting(12, help="video encoder heads, with --video_weights none")
    video_ffn: PositiveInt = setting(3072, help="video encoder feed-forward width, with --video_weights none")
    video_patch: PositiveInt = setting(16, help="video encoder patch side, pixels, with --video_weights none")
    freeze_video: bool | None = setting(
        None,
        help="keep the video encoder as it was loaded; default: only imu2clip with loaded weights does, as its paper",
    )
    # heads and loss
    embed_dim: PositiveInt = setting(512, help="size of the shared space")
    head_dropout: Share = setting(0.1, help="dropout in the projection heads")
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
    checkpoint_activations: bool = setting(
        False, help="compute the video encoder's layers anew in backward instead of keeping them: less memory, slower"
    )
    attention: Literal["sdpa", "eager"] = setting("sdpa", help="PyTorch's fused attention, or written out")
    fused_adamw: bool = setting(True, help="AdamW as one kernel over all parameters")
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
        parts = METHODS.get(model, {}) | {"freeze_video": model == "imu2clip" and weights != "none"}
        if model == "imu_only" and (given := sorted(k for k in _PARTS_OF_PAIRS if values.get(k) is not None)):
            raise ValueError(f"{', '.join(given)}: imu_only has no video and no pairs, leave it out")
        return parts | {key: value for key, value in values.items() if not (key in parts and value is None)}

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        if self.imu_dim % self.imu_heads:
            raise ValueError(f"imu_dim {self.imu_dim} must be a multiple of imu_heads {self.imu_heads}")
        if self.video_dim % self.video_heads:
            raise ValueError(f"video_dim {self.video_dim} must be a multiple of video_heads {self.video_heads}")
        if self.image_size % self.video_patch:
            raise ValueError(f"image_size {self.image_size} must be a multiple of video_patch {self.video_patch}")
        if self.video_encoder == "videomae" and self.clip_len % 2:
            raise ValueError(
                f"clip_len {self.clip_len} must be even: VideoMAE joins frames in pairs, an odd one is lost"
            )
        if self.imu_encoder == "conv_gru" and self.model == "imu_only":
            raise ValueError("imu_encoder conv_gru has no patches to mask: imu_only needs patchtst")
        if self.imu_encoder == "conv_gru" and self.imu_pooling != "cls":
            raise ValueError(f"imu_pooling {self.imu_pooling} is for patchtst: conv_gru has no tokens, leave it out")
        if self.model == "imu_only" and (self.micro_batch_size is not None or self.checkpoint_activations):
            raise ValueError("micro_batch_size and checkpoint_activations are for the video encoder, imu_only has none")
        if self.freeze_video and self.checkpoint_activations:
            raise ValueError("checkpoint_activations: a frozen video encoder keeps no activations, leave it out")
        if self.freeze_video and self.video_weights == "none":
            raise ValueError("freeze_video keeps loaded weights, and video_weights none loads none: drop one of them")
        if self.resume == "auto" and self.run_name is None:
            raise ValueError("resume auto needs run_name, to know which run to continue")
        return self

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
            size = "" if self.video_dim >= 768 and self.video_layers >= 12 else "small "
            return size + {"videomae": "VideoMAE", "clip": "ViT"}[self.video_encoder] + " trained along"
        name = PRETRAINED_VIDEO[self.video_encoder] if self.video_weights == "auto" else self.video_weights
        if name.count("/") > 1 or name.startswith((".", "/", "~")):
            name = Path(name).name  # of a local folder no more than that
        return f"{name}, {'frozen' if self.freeze_video else 'trained on'}"


class EvaluationConfig(Config):
    """What all evaluations share."""

    dataset: FolderName = setting(help="prepared dataset to evaluate on, a folder under --data_root")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    classes: list[str] | None = setting(
        None, help="class names, or a class set (mmea: all 32, mmea5, pd); default: all of the dataset"
    )
    seed: int = setting(0, ge=0, help="draws of windows, weights and bootstraps")
    run_name: FolderName | None = setting(None, help="folder under --runs_root; default: command, dataset and time")
    runs_root: Path = setting(Path("runs"), help="folder of the runs")
    report: bool = setting(False, help="print the tables when done")


class FewShotConfig(EvaluationConfig):
    """What few-shot evaluations share: which windows are learnt from, and which are held out."""

    shots: list[PositiveInt] = setting([10, 20, 50, 100], min_length=1, help="labelled windows per class, one run each")
    train_samples: PositiveInt | None = setting(None, help="a single number of shots; another name for --shots N")
    val_samples: PositiveInt = setting(20, help="held-out windows per class that the result is measured on")
    draws: PositiveInt = setting(5, help="random draws of shots and held-out windows; mean and std are over them")
    split: Literal["recording", "group", "leave_one_group_out", "window"] = setting(
        "recording",
        help="recording: no recording on both sides (paper); group: no subject (or session, if unknown) on both sides; "
        "leave_one_group_out: each is held out in turn, with all its windows; window: any windows, which leaks: others "
        "of the same recording may be learnt from, the run says of how many",
    )
    windows_per_recording: Literal["all", "centre"] = setting(
        "all", help="all, or only the one in the middle of each recording and class, as the authors' code on MMEA"
    )
    small_classes: Literal["refuse", "drop", "shorten"] = setting(
        "refuse",
        help="classes with too few windows for shots and held-out ones: refuse the evaluation, drop them, or shorten: "
        "hold out as many and learn from those that are left",
    )
    stride_s: float = setting(
        WINDOW_S, gt=0, help="from one window to the next, seconds, a multiple of 0.1; below 5 they overlap"
    )
    label_share: float = setting(
        1.0, gt=0.5, le=1, help="share of a window that a label must cover, for events that are shorter than windows"
    )

    same = (("train_samples", "shots"), ("shots", "train_samples"))

    @model_validator(mode="before")
    @classmethod
    def _train_samples(cls, values: dict) -> dict:
        samples = values.get("train_samples")
        if samples is None:
            return values
        if values.get("shots") is not None:
            raise ValueError("train_samples and shots say the same thing: give one of them")
        return {k: v for k, v in values.items() if k != "train_samples"} | {"shots": [samples]}

    @model_validator(mode="after")
    def _check_draws(self) -> "FewShotConfig":
        if len(set(self.shots)) != len(self.shots):
            raise ValueError(f"shots {self.shots} names a number twice")
        if abs(self.stride_s * 10 - round(self.stride_s * 10)) > 1e-6:
            raise ValueError(f"stride_s {self.stride_s} must be a multiple of 0.1, the time between frames")
        if self.stride_s < WINDOW_S and self.split == "window":
            raise ValueError(
                f"stride_s {self.stride_s:g}: windows overlap, and with split window the same seconds would be learnt "
                "from and measured on: use split group or leave_one_group_out"
            )
        return self


class DownstreamConfig(FewShotConfig):
    """downstream.py"""

    program = "python downstream.py"
    summary = "Few-shot evaluation of an IMU encoder: linear probe, finetuning, or training from scratch."

    model: MethodName | None = setting(
        None, help="method of the checkpoint, checked against it; default: whatever the checkpoint says"
    )
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    checkpoint: Path | None = setting(
        None, help="checkpoint of train.py, of which only the IMU encoder is read, or an encoder of scripts.export"
    )
    random_weights: bool = setting(False, help="control: the same encoder, weights drawn at random")
    imu_pooling: PoolingName | None = setting(
        None, help="what of PatchTST represents a window: cls, mean or both; default: as in pretraining"
    )
    mode: Literal["lp", "finetune", "supervised"] = setting(
        "lp",
        help="lp: linear layer on the frozen encoder; finetune: encoder and layer; supervised: both from scratch, in "
        "the architecture of --model or of the checkpoint",
    )
    epochs: PositiveInt = setting(25, help="passes over the shots; the state after the last one is measured")
    select_samples: int = setting(
        0, ge=0, help="windows per class, apart from shots and held-out ones, that choose the epoch instead; 0: none do"
    )
    batch_size: PositiveInt = setting(8, help="windows per step")
    lr: float = setting(1e-3, gt=0, help="AdamW rate of the linear layer")
    lr_schedule: Literal["constant", "cosine"] = setting(
        "constant", help="rates over the steps of a training: as they are, or falling like half a cosine to 1e-7"
    )
    encoder_lr: float | None = setting(
        None,
        gt=0,
        help="AdamW rate of the encoder; default: 1e-6 with mode finetune (paper), 1e-4 with mode supervised, where "
        "1e-6 would leave the weights as they were drawn",
    )
    weight_decay: float = setting(0.01, ge=0, help="AdamW decay")
    standardize: bool = setting(
        False,
        help="z-score embeddings by mean and std of the shots, with --mode lp: fairer where encoders differ in scale",
    )
    normalize: Normalization | None = setting(
        None, help="z-score of the windows; default: as in pretraining, and dataset without a checkpoint"
    )
    num_workers: int = setting(
        0,
        ge=0,
        help="processes on a CPU that finetune draws side by side; 0 takes every core where the work is worth it",
    )
    save_model: Path | None = setting(None, help="file for the encoder and head of the first draw at the most shots")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict) -> dict:
        """What follows from the mode, so that the resolved config names it."""
        mode, drawn = values.get("mode"), values.get("random_weights") in (True, "true", "True")
        own: dict[str, Any] = {"encoder_lr": ENCODER_LR[mode]} if mode in ENCODER_LR else {}
        if values.get("checkpoint") is None and (mode == "supervised" or drawn):
            own["model"] = TrainConfig.model_fields["model"].default
        return own | {key: value for key, value in values.items() if not (key in own and value is None)}

    @model_validator(mode="after")
    def _check(self) -> "DownstreamConfig":
        if self.checkpoint is None and self.model is None:
            raise ValueError("checkpoint is missing: give --checkpoint FILE, --random_weights or --mode supervised")
        if self.checkpoint is None and not self.random_weights and self.mode != "supervised":
            raise ValueError(f"checkpoint is missing: mode {self.mode} needs one, or --random_weights")
        if self.standardize and self.mode != "lp":
            raise ValueError(f"standardize is for a frozen encoder, and mode {self.mode} moves it: drop one of them")
        if self.lr_schedule == "cosine":
            rates = {"lr": self.lr, "encoder_lr": self.encoder_lr}
            if low := [f"{name} {rate:g}" for name, rate in rates.items() if rate is not None and rate < LEAST_LR]:
                raise ValueError(f"lr_schedule cosine falls to {LEAST_LR:g}, and {', '.join(low)} begins below it")
        return self

    @property
    def least_lr(self) -> float | None:
        """Where the learning rates end; None where they stay as they are."""
        return LEAST_LR if self.lr_schedule == "cosine" else None

    @property
    def drawn_anew(self) -> bool:
        """Whether the encoder's weights are drawn, and none of a checkpoint is used."""
        return self.random_weights or self.mode == "supervised"


class HandmadeConfig(FewShotConfig):
    """python -m scripts.handcrafted"""

    program = "python -m scripts.handcrafted"
    summary = "Few-shot evaluation without any encoder: hand-made features and a random forest, on the same draws."

    trees: PositiveInt = setting(500, help="trees of the forest")
    num_workers: int = setting(0, ge=0, help="threads; 0 takes every core")

    @model_validator(mode="before")
    @classmethod
    def _no_encoder(cls, values: dict) -> dict:
        """A file for downstream.py serves here as well: what it says of an encoder has nothing to act on."""
        strange = DownstreamConfig.model_fields.keys() - cls.model_fields.keys()
        return {key: value for key, value in values.items() if key not in strange}


class ZeroshotConfig(EvaluationConfig):
    """zeroshot.py"""

    program = "python zeroshot.py"
    summary = "Zero-shot evaluation: each IMU window takes the class of the nearest video prototype, or the reverse."

    model: MethodName | None = setting(
        None, help="method of the checkpoint, checked against it; default: whatever the checkpoint says"
    )
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    checkpoint: Path = setting(help="cross-modal checkpoint of train.py")
    prototypes_from: FolderName | None = setting(None, help="dataset of the prototypes; default: --dataset")
    class_map: Path | None = setting(None, help="YAML: class of --dataset -> class of --prototypes_from")
    direction: Literal["imu_to_video", "video_to_imu"] = setting(
        "imu_to_video", help="imu_to_video: IMU windows ask, labelled videos answer (paper); video_to_imu: the reverse"
    )
    prototypes_per_class: PositiveInt = setting(10, help="labelled windows per class that answer")
    prototype: Literal["nearest", "mean"] = setting("nearest", help="class score: best prototype, or their mean")
    bootstraps: PositiveInt = setting(5, help="repetitions; mean and std are over them")
    bootstrap_share: float = setting(0.8, gt=0, le=1, help="share of each class's query windows in a repetition")
    batch_size: PositiveInt = setting(64, help="windows embedded at a time")
    num_workers: PositiveInt = setting(2, help="threads that decode frames")
    decode_device: Literal["cpu", "cuda"] = setting("cpu", help="what decodes frames: the threads, or the GPU")

    @model_validator(mode="after")
    def _check(self) -> "ZeroshotConfig":
        if self.class_map is not None and self.prototypes_from is None:
            raise ValueError("class_map only serves with prototypes_from: name the dataset of the prototypes")
        return self


class ExportConfig(Config):
    """python -m scripts.export"""

    program = "python -m scripts.export"
    summary = "Write the IMU encoder of a pretraining checkpoint by itself, without any video weights."

    checkpoint: Path = setting(help="checkpoint of train.py")
    out: Path = setting(help="file to write: .pt, or .safetensors for other programs")

    @model_validator(mode="after")
    def _check(self) -> "ExportConfig":
        if self.out.suffix not in (".pt", ".safetensors"):
            raise ValueError(f"out {self.out} must end in .pt or .safetensors")
        if self.out.resolve() == self.checkpoint.resolve():
            raise ValueError(f"out {self.out} is the checkpoint itself: name another file")
        return self


class ReportConfig(Config):
    """python -m scripts.report"""

    program = "python -m scripts.report"
    summary = "Collect results.json files into one page (Markdown and HTML), with every table and figure as files."

    runs: list[Path] = setting(min_length=1, help="run folders, or folders that hold some")
    out: Path = setting(help="folder to write report.md, report.html, tables/ and figures/ to")
    title: str = setting("Results", help="heading of the page")
    study: Path | None = setting(None, help="YAML of the runs' study: adds the paper's tables and figures")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets, for sizes and sample windows")


class EmbedConfig(Config):
    """python -m scripts.embed"""

    program = "python -m scripts.embed"
    summary = "Picture of the windows of prepared datasets as a pretrained IMU encoder sees them, in two dimensions."

    checkpoint: Path = setting(help="checkpoint of train.py; only its IMU encoder is read")
    datasets: list[FolderName] = setting(min_length=1, help="prepared datasets with labels, folders under --data_root")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    out: Path = setting(help="folder to write embedding.png, embedding.pdf, embedding.csv and results.json to")
    windows_per_class: PositiveInt = setting(40, help="windows of each class and dataset, at most; drawn at random")
    projection: Literal["tsne", "pca"] = setting("tsne", help="to two dimensions: t-SNE after PCA, or PCA alone")
    perplexity: float = setting(30.0, gt=1, help="t-SNE: number of neighbours that a window is held to, about")
    normalize: Normalization | None = setting(None, help="z-score of the windows; default: as in pretraining")
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    seed: int = setting(0, ge=0, help="draws of windows, and t-SNE")


class ReproduceConfig(Config):
    """python -m scripts.reproduce"""

    program = "python -m scripts.reproduce"
    summary = "Run what is missing of a study: pretrain each encoder, evaluate each, and write the report."

    study: Path = setting(help="YAML of the study, such as configs/study/demo.yaml")
    out: Path = setting(help="folder of the study: runs/, logs/ and report/; a second call goes on where it ended")
    data_root: Path | None = setting(None, help="folder of the prepared datasets; default: data/ in --out")
    ranks: PositiveInt = setting(
        1, help="processes that pretrain together, under torchrun, and share each batch: the experiment is the same"
    )
    commands: bool = setting(False, help="print the commands of what is missing, for a cluster, and run nothing")


class InspectConfig(Config):
    """python -m scripts.describe"""

    program = "python -m scripts.describe"
    summary = "Show what prepared datasets hold: one HTML page each, and their sizes as in Table 1 of the paper."
    positional = ("data",)

    data: list[Path] = setting(min_length=1, help="folders of prepared datasets, such as data/mmea")
    out: Path | None = setting(None, help="HTML file to write, with one dataset; default: inspect.html in its folder")
    table: bool = setting(False, help="print the table of sizes only, and write no page")
    seed: int = setting(0, ge=0, help="draws of the windows that are shown and of those whose spectra are averaged")

    @model_validator(mode="after")
    def _check(self) -> "InspectConfig":
        if self.table and self.out is not None:
            raise ValueError("table writes no page, so out has no use: drop one of them")
        if self.out is not None and len(self.data) > 1:
            raise ValueError(f"out is one file and {len(self.data)} datasets have a page each: drop it or name one")
        return self


class CheckSyncConfig(Config):
    """python -m scripts.check_sync"""

    program = "python -m scripts.check_sync"
    summary = "Estimate the time offset between video and IMU of every recording, from the rotation that both saw."
    positional = ("data",)

    data: Path = setting(help="folder of a prepared dataset, such as data/ego4d; gets sync.csv and sync.png")
    max_lag_s: float = setting(3.0, ge=0.5, le=30, help="look for offsets up to this, either way, seconds")
    max_offset_s: float = setting(0.2, ge=0, help="larger offsets have the verdict offset, seconds")
    tolerance_s: float = setting(0.1, ge=0.04, help="the confidence is that of being right within this, seconds")
    min_confidence: float = setting(0.99, gt=0.5, lt=1, help="below it the verdict is: cannot tell")
    stretch_s: float = setting(30.0, ge=5, help="longer recordings are compared in stretches of this length, seconds")
    max_minutes: float = setting(4.0, gt=0, help="video to look at per recording, minutes, spread over its length")
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")

    @model_validator(mode="after")
    def _check(self) -> "CheckSyncConfig":
        if self.max_offset_s >= self.max_lag_s:
            raise ValueError(f"max_offset_s {self.max_offset_s} must be below max_lag_s {self.max_lag_s}")
        return self


with warnings.catch_warnings():
    # the name hides a deprecated method of pydantic's, which nothing calls
    warnings.filterwarnings("ignore", 'Field name "json"')

    class BenchmarkConfig(Config):
        """python -m scripts.benchmark"""

        program = "python -m scripts.benchmark"
        summary = "Measure speed against the authors' way and other ways to do the same, as ratios within one run."
        positional = ("benchmark",)

        benchmark: Literal["prepare", "loader", "train", "fewshot"] = setting(help="what to measure")
        json: bool = setting(False, help="print one JSON object of the figures instead of the table")
        repeats: PositiveInt = setting(5, help="times that each contender runs, in turn; the median counts")
        video_s: float = setting(10.0, ge=5, help="length of each source video, seconds")
        recording_min: float = setting(20.0, ge=1, help="length of each recording that is read from, minutes")
        long_min: float = setting(5.0, ge=1, help="prepare: length of the recording whose memory is measured, minutes")
        frame_size: int = setting(224, ge=16, multiple_of=2, help="side of the stored frames, pixels")
        batch_size: PositiveInt = setting(32, help="windows per batch; train: and process")
        clip_len: int = setting(10, ge=1, le=50, help="frames per window")
        recipe: Path = setting(Path("configs/demo/pretrain.yaml"), help="train: pretraining YAML, with video, to time")
        steps: int = setting(20, ge=5, multiple_of=5, help="train: steps that are timed in each round")
        ranks: PositiveInt = setting(1, help="train: compare this many processes with one, if more than one; on CPUs")
