"""Settings of what evaluates or hands on an encoder: downstream, features, zeroshot, embed, embedding_map, export."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from configs.base import (
    MIN_COVERAGE_HELP,
    Config,
    Coverage,
    FolderName,
    Name,
    PositiveInt,
    Share,
    WindowLength,
    setting,
)
from configs.constants import WINDOW_S
from configs.predict import ReadingConfig
from configs.training import ImuEncoderName, MethodName, PoolingName, TrainConfig

# AdamW rate of the encoder where it learns with the layer: the paper's for finetuning; from scratch, where it names
# none, that of its pretraining.
ENCODER_LR = {"finetune": 1e-6, "supervised": 1e-4}
WINDOW_S_HELP = "length of a window, seconds; default: as in pretraining (5 without a checkpoint), another is refused"
LEAST_LR = 1e-7  # where the cosine of an evaluation ends, as in the authors' code

FeatureName = Literal["handcrafted", "invariant", "minirocket", "encoder"]
HeadName = Literal["linear", "logistic", "trees", "forest"]


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
    window_s: WindowLength | None = setting(None, help=WINDOW_S_HELP)
    min_coverage: Coverage = setting(1.0, help=MIN_COVERAGE_HELP)
    windows_per_recording: Literal["all", "centre"] = setting(
        "all", help="all, or only the one in the middle of each recording and class, as the authors' code on MMEA"
    )


class FewShotConfig(EvaluationConfig):
    """What few-shot evaluations share: which windows are learnt from, and which are held out."""

    shots: list[PositiveInt] = setting([10, 20, 50, 100], min_length=1, help="labelled windows per class, one run each")
    val_samples: PositiveInt = setting(20, help="held-out windows per class that the result is measured on")
    draws: PositiveInt = setting(5, help="random draws of shots and held-out windows; mean and std are over them")
    subjects: list[Name] | None = setting(
        None,
        help="people whose windows are learnt from and held out, names or patterns such as 'SA*'; default: everybody",
    )
    test_dataset: FolderName | None = setting(
        None, help="transfer: labels of --dataset, and all windows of this one are predicted; split does not apply"
    )
    test_subjects: list[Name] | None = setting(
        None,
        help="transfer: people who are predicted, with all their windows, and give no labels; names or patterns",
    )
    class_map: Path | None = setting(
        None, help="YAML: common class -> dataset -> its class, or a list; default: classes have the same names"
    )
    detect: list[Name] | None = setting(
        None,
        min_length=1,
        help="classes, or patterns such as 'fall_*', that are one event to be told from everything else; all windows "
        "of those held out are scored: sensitivity at one false alarm an hour, and precision against recall",
    )
    calibrate: Literal["none", "person"] = setting(
        "none",
        help="person: z-score embeddings or features by all windows of each person, without labels; results say so",
    )
    split: Literal["recording", "group", "leave_one_group_out", "window"] = setting(
        "recording",
        help="recording: no recording on both sides (paper); group: no subject (or session, if unknown) on both sides; "
        "leave_one_group_out: each is held out in turn, with all its windows; window: any windows, which leaks: others "
        "of the same recording may be learnt from, the run says of how many",
    )
    small_classes: Literal["refuse", "drop", "shorten"] = setting(
        "refuse",
        help="classes with too few windows for shots and held-out ones: refuse the evaluation, drop them, or shorten: "
        "learn from those that are left, and where none would be hold out fewer too, at least 5 with 5 to learn from",
    )
    stride_s: float | None = setting(
        None,
        gt=0,
        multiple_of=0.1,
        help="from one window to the next, seconds, a multiple of 0.1; below --window_s they overlap; default: that",
    )
    label_share: float = setting(
        1.0, gt=0.5, le=1, help="fraction of a window that a label must cover, for events that are shorter than windows"
    )
    num_workers: int = setting(
        0, ge=0, help="processes on a CPU that finetune side by side, or threads of trees; 0 takes every core"
    )

    second_names = {"shots": "train_samples"}  # as in the authors' readme

    @model_validator(mode="after")
    def _check_draws(self) -> "FewShotConfig":
        if len(set(self.shots)) != len(self.shots):
            raise ValueError(f"shots {self.shots} names a number twice")
        if self.detect and not (self.transfers or self.split == "leave_one_group_out"):
            raise ValueError(
                f"detect scores all windows of people held out, of whom split {self.split} takes a few of each class: "
                "use split leave_one_group_out, or test_subjects or test_dataset"
            )
        if self.detect and self.windows_per_recording != "all":
            raise ValueError("detect scores all windows: leave windows_per_recording out")
        return self._refuse_overlap()

    def with_window(self, window_s: float) -> Self:
        """The same settings for windows of this length, seconds, when the checkpoint has said it."""
        return self.model_copy(update={"window_s": window_s})._refuse_overlap()

    def _refuse_overlap(self) -> Self:
        if None not in (self.stride_s, self.window_s) and self.stride_s < self.window_s and self.split == "window":
            raise ValueError(
                f"stride_s {self.stride_s:g}: windows overlap, and with split window the same seconds would be learnt "
                "from and measured on: use split recording, group or leave_one_group_out"
            )
        return self

    @property
    def transfers(self) -> bool:
        """Whether all windows of another dataset, or of other people, are predicted."""
        return self.test_dataset is not None or self.test_subjects is not None


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
    imu_encoder: ImuEncoderName | None = setting(
        None, help="architecture of an encoder from scratch, without --checkpoint; default: that of --model"
    )
    imu_pooling: PoolingName | None = setting(
        None, help="what of PatchTST represents a window: cls, mean, both or segments; default: as in pretraining"
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
    target_accuracy: Share = setting(
        0.9,
        help="accuracy among answered windows for which the confidence is chosen below which the answer is unknown; at "
        "least that which 95 % of the windows held out have, and this where none that leaves half of them reaches it",
    )
    save_model: Path | None = setting(
        None, help="folder for the classifier: encoder and head, calibration, transitions, and its model card"
    )
    fit: Literal["all", "draw"] = setting(
        "all",
        help="what the saved classifier learns from: all labelled windows of everybody (of a transfer: of those who "
        "give labels), once the draws have been measured, each class weighing the same; or the first draw's most shots",
    )
    licence: str | None = setting(
        None, help="of the saved classifier, such as cc-by-4.0, for its model card; default: its card says unknown"
    )

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
        if self.checkpoint is None and not self.from_scratch:
            raise ValueError("checkpoint is missing: give --checkpoint FILE, --random_weights or --mode supervised")
        if self.standardize and self.mode != "lp":
            raise ValueError(f"standardize is for a frozen encoder, and mode {self.mode} moves it: drop one of them")
        if self.calibrate != "none" and (self.mode != "lp" or self.save_model):
            raise ValueError("calibrate person goes with --mode lp, and without --save_model: drop one of them")
        if self.detect and self.save_model:
            raise ValueError(
                "detect and save_model: windows of an event learn by their highest peak, which recordings do "
                "not tell: save a classifier of the classes, without --detect"
            )
        if self.imu_encoder is not None and self.checkpoint is not None:
            raise ValueError("imu_encoder is for an encoder from scratch: the checkpoint has its own, drop one of them")
        if self.save_model is not None and self.save_model.is_file():
            raise ValueError(f"save_model {self.save_model} is a file: a classifier is a folder, name another")
        return self

    @property
    def least_lr(self) -> float | None:
        """Where the learning rates end; None where they stay as they are."""
        return LEAST_LR if self.lr_schedule == "cosine" else None

    @property
    def from_scratch(self) -> bool:
        """Whether the encoder's weights are drawn at random, and none of a checkpoint is used."""
        return self.random_weights or self.mode == "supervised"


class FeaturesConfig(FewShotConfig):
    """python -m scripts.features"""

    program = "python -m scripts.features"
    summary = "Few-shot evaluation of features of windows that a classical head reads, on the draws of downstream.py."

    features: list[FeatureName] = setting(
        ["handcrafted"],
        min_length=1,
        help="one, or several beside each other: handcrafted; invariant, the same of signals that no rotation of the "
        "sensor changes; minirocket, of these signals (needs aeon); encoder, embeddings of --checkpoint",
    )
    head: HeadName = setting(
        "linear",
        help="linear: ridge classifier; logistic: logistic regression, its C chosen on the shots; trees: 300 extremely "
        "randomised trees; forest: random forest of 500 trees",
    )
    checkpoint: Path | None = setting(None, help="for features encoder: as of downstream.py")
    random_weights: bool = setting(False, help="control: the same encoder, weights drawn at random")
    imu_pooling: PoolingName | None = setting(None, help="for features encoder: as of downstream.py")
    device: str = setting("auto", help="of the encoder: auto, cpu, cuda or cuda:N")

    @model_validator(mode="before")
    @classmethod
    def _no_training(cls, values: dict) -> dict:
        """A file for downstream.py serves here as well: what it says of the training has nothing to act on."""
        strange = DownstreamConfig.model_fields.keys() - cls.model_fields.keys()
        own = {key: value for key, value in values.items() if key not in strange}
        if "encoder" not in own.get("features", ()) and own.get("window_s") is None:
            own["window_s"] = WINDOW_S  # no checkpoint says it
        return own

    @model_validator(mode="after")
    def _check(self) -> "FeaturesConfig":
        if len(set(self.features)) != len(self.features):
            raise ValueError(f"features {' '.join(self.features)} names one twice")
        if ("encoder" in self.features) != (self.checkpoint is not None):
            raise ValueError("features encoder and --checkpoint FILE go together: give both or none")
        if self.random_weights and self.checkpoint is None:
            raise ValueError("random_weights is for features encoder: leave it out")
        return self


class ZeroshotConfig(EvaluationConfig):
    """zeroshot.py"""

    program = "python zeroshot.py"
    summary = "Zero-shot evaluation: each IMU window takes the class of the nearest video prototype, or the reverse."

    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    checkpoint: Path = setting(help="cross-modal checkpoint of train.py")
    prototypes_from: FolderName | None = setting(None, help="dataset of the prototypes; default: --dataset")
    class_map: Path | None = setting(None, help="YAML: class of --dataset -> class of --prototypes_from")
    direction: Literal["imu_to_video", "video_to_imu"] = setting(
        "imu_to_video", help="imu_to_video: IMU queries, video prototypes (paper); video_to_imu: the reverse"
    )
    prototypes_per_class: PositiveInt | Literal["all"] = setting(
        10, help="labelled windows per class that are prototypes, or all of the recordings that are no queries"
    )
    prototype: Literal["nearest", "mean", "vote"] = setting(
        "nearest", help="class score: best prototype (paper), their mean, or a vote: the sum of exp(10 cosine)"
    )
    query_subjects: list[Name] | None = setting(
        None, help="people whose windows are the queries; prototypes are of all others; default: everybody"
    )
    retrieval: bool = setting(
        False,
        help="also rank, among the queries' own pairs, the video of each IMU window, and the reverse; queries are then "
        "windows that have both",
    )
    bootstraps: PositiveInt = setting(5, help="repetitions; mean and std are over them")
    bootstrap_share: float = setting(0.8, gt=0, le=1, help="fraction of each class's query windows in a repetition")
    batch_size: PositiveInt = setting(64, help="windows embedded at a time")
    num_workers: PositiveInt = setting(2, help="threads that decode frames")

    @model_validator(mode="after")
    def _check(self) -> "ZeroshotConfig":
        if self.class_map is not None and self.prototypes_from is None:
            raise ValueError("class_map only serves with prototypes_from: name the dataset of the prototypes")
        return self


class ExportConfig(Config):
    """python -m scripts.export"""

    program = "python -m scripts.export"
    summary = "Write the IMU encoder of a checkpoint by itself, or an encoder or classifier as ONNX."

    checkpoint: Path = setting(
        help="checkpoint of train.py; with onnx also a .safetensors of this command, or a classifier: its folder, a "
        "name in models/weights, or a hub id"
    )
    out: Path = setting(help="file to write, a .safetensors, or with onnx an .onnx")
    onnx: bool = setting(False, help="write ONNX, raw windows in, embeddings or probabilities out")
    int8: Literal["dynamic", "static"] | None = setting(
        None, help="onnx: 8-bit weights; ranges of activations from each call, or fixed, from windows of the dataset"
    )
    dataset: FolderName | None = setting(
        None, help="onnx: prepared dataset on whose windows the file is compared, and int8 measured; default: noise"
    )
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")

    @model_validator(mode="after")
    def _check(self) -> "ExportConfig":
        ending = ".onnx" if self.onnx else ".safetensors"
        if self.out.suffix != ending:
            raise ValueError(f"out {self.out} must end in {ending}" + ("" if self.onnx else ", unless --onnx is given"))
        if self.out.resolve() == self.checkpoint.resolve():
            raise ValueError(f"out {self.out} is the checkpoint itself: name another file")
        if not self.onnx and (self.int8 or self.dataset):
            raise ValueError("int8 and dataset only serve with onnx")
        if self.int8 and not self.dataset:
            raise ValueError("int8 needs dataset: what it costs is measured on real windows")
        return self


class EmbedConfig(ReadingConfig):
    """python -m scripts.embed"""

    program = "python -m scripts.embed"
    summary = "Embeddings of the windows of recordings or prepared datasets, with their times, as one table."

    datasets: list[FolderName] = setting([], help="prepared datasets, folders under --data_root")
    checkpoint: Path = setting(
        help="checkpoint of train.py, encoder of scripts.export, or a classifier, of which only the encoder is used: "
        "its folder, a name in models/weights, or a hub id"
    )
    out: Path = setting(help="table to write, a .parquet (needs pyarrow), .csv or .csv.gz")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    hop_s: float | None = setting(
        None, gt=0, multiple_of=0.1, help="from one window to the next, seconds; default: the length of a window"
    )
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")

    @model_validator(mode="after")
    def _check(self) -> "EmbedConfig":
        if not self.files and not self.datasets:
            raise ValueError("name recordings, or prepared datasets by --datasets")
        if not self.out.name.endswith((".parquet", ".csv", ".csv.gz")):
            raise ValueError(f"out {self.out} must end in .parquet, .csv or .csv.gz")
        return self


class EmbeddingMapConfig(Config):
    """python -m scripts.embedding_map"""

    program = "python -m scripts.embedding_map"
    summary = "Picture of the windows of prepared datasets as a pretrained IMU encoder sees them, in two dimensions."

    checkpoint: Path = setting(help="checkpoint of train.py; only its IMU encoder is read")
    datasets: list[FolderName] = setting(min_length=1, help="prepared datasets with labels, folders under --data_root")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets")
    out: Path = setting(help="folder to write embedding.png, embedding.pdf, embedding.csv and results.json to")
    window_s: WindowLength | None = setting(None, help=WINDOW_S_HELP)
    min_coverage: Coverage = setting(1.0, help=MIN_COVERAGE_HELP)
    windows_per_class: PositiveInt = setting(40, help="windows of each class and dataset, at most; drawn at random")
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    seed: int = setting(0, ge=0, help="draws of windows, and t-SNE")
