"""Settings of the commands that make prepared datasets: simulate, prepare, check_sync."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from configs.base import Config, Share, WindowLength, setting
from configs.constants import GYRO_UNITS, WINDOW_S

PARSED = ("ego4d", "mmea", "pd", "gopro", "classyglass")  # formats that a module reads
# Formats that are a description of tables: the short names of configs/table/*.yaml.
DESCRIBED = tuple(sorted(path.stem for path in (Path(__file__).parent / "table").glob("*.yaml")))


class SimulateConfig(Config):
    """python -m scripts.simulate"""

    program = "python -m scripts.simulate"
    summary = "Write simulated raw recordings in the layouts of Ego4D, UESTC-MMEA-CL and the PD study."

    out: Path = setting(Path("raw"), help="folder to write; one subfolder per dataset: ego4d, mmea, pd")
    day_hours: float = setting(
        0.0, ge=0, help="length of a day of a phone in the pocket, day/day.csv.gz, and day-labels.csv; 0: none"
    )
    seed: int = setting(0, ge=0, help="everything drawn follows from it")
    ego4d_hours: float = setting(2.0, ge=0, help="length of the unlabelled Ego4D recordings, hours; 0 leaves them out")
    mmea_windows_per_class: int = setting(75, ge=0, help="5 s windows of each MMEA class, at least; 0 leaves MMEA out")
    pd_windows_per_class: int = setting(75, ge=0, help="5 s windows of each PD class, at least; 0 leaves PD out")
    frame_size: int = setting(64, ge=16, le=512, multiple_of=2, help="side of the square video frames, pixels")
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")


class QualityLimitsConfig(Config):
    """What a YAML for ``--quality_limits`` may hold.

    Windows that touch a stretch of 5 s beyond a limit are not used. The files stay, and masked.csv says why.
    """

    program: ClassVar[str] = "quality_limits"
    summary: ClassVar[str] = "Limits beyond which a stretch is masked."

    max_clipped_share: Share = setting(0.05, help="fraction of samples with one axis at the end of its range")
    max_flat_s: float = setting(2.5, gt=0, help="time for which one axis keeps its value exactly, seconds")
    max_copied_share: Share = setting(0.95, help="fraction of samples in which two axes of a sensor are equal")
    max_bridged_share: Share = setting(0.3, help="fraction of the time interpolated in gaps of up to 0.1 s")
    max_rate_drift: float = setting(0.1, gt=0, help="fraction by which the sensor's rate is off its own mean")
    max_frozen_share: Share = setting(
        0.8, help="fraction of frames equal to the one before, of 10 a second; 0.8 leaves 2 new ones a second"
    )
    min_contrast: float = setting(
        2.0, ge=0, help="standard deviation of grey levels, 0 to 255: black, white, covered lens"
    )
    max_duration_mismatch_s: float = setting(
        1.0, gt=0, help="difference in length of IMU and video, where the table has no times of its own, seconds"
    )


class PrepareConfig(Config):
    """python -m scripts.prepare"""

    program = "python -m scripts.prepare"
    summary = "Turn raw recordings into a prepared dataset: 50 Hz IMU arrays, 10 fps JPEG frames, one table."

    format: Literal[*PARSED, "table", *DESCRIBED] | None = setting(
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
    window_s: WindowLength = setting(
        WINDOW_S, help="shorter recordings are left out, seconds, 1 to 30, a multiple of 0.1; windows that are counted"
    )
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")
    scheduler: str | None = setting(
        None, help="work on a Dask cluster: address of its scheduler, such as tcp://host:8786; default: this machine"
    )
    max_rejected_share: Share = setting(0.5, help="fail if more than this fraction of the recordings is left out whole")
    strict: bool = setting(False, help="fail if gravity says that the units of a recording are wrong; else: warn")
    quality_limits: Path | None = setting(
        None, help="YAML of limits beyond which a stretch of 5 s is masked, see QualityLimitsConfig; default: built in"
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
    gyro_unit: Literal[*GYRO_UNITS] | None = setting(None, help="pd: unit of the angular rate; default: rad/s")
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
    sensor: list[str] | None = setting(
        None,
        help="table, and formats that are a description of tables: sensors to take, such as phone watch; each gives "
        "recordings of its own; default: the first that the description names",
    )
    missing_gyro: Literal["zeros"] | None = setting(
        None,
        help="table, and formats that are a description of tables: prepare data without a gyroscope, its angular rates "
        "zeros; all that is made of the dataset says so; default: such recordings are left out",
    )
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
            (("subset",), ("classyglass",)),
            (("imu_columns", "time_column", "date_column", "rate_hz", "acc_unit", "gyro_unit"), ("pd",)),
            (("acc_counts_per_g", "gyro_counts_per_deg_s", "pad_last"), ("pd",)),
            (("uids", "video_size", "skip_windows"), ("ego4d",)),
            (("sensor", "missing_gyro"), ("table", *DESCRIBED)),
            (("table",), ("table",)),
        ):
            given = [name for name in names if getattr(self, name) is not None]
            if given and self.format not in wanted:
                raise ValueError(f"{', '.join(given)} only serves with format {', '.join(wanted)}, not {self.format}")
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
        if self.scheduler is not None and self.num_workers:
            raise ValueError("num_workers has no use with scheduler: the cluster has as many workers as it has")
        out, raw = self.out.resolve(), self.raw.resolve()
        if out == raw or raw in out.parents or out in raw.parents:
            raise ValueError(f"out {self.out} and raw {self.raw} must not lie in one another: raw is only read")
        return self


class CheckSyncConfig(Config):
    """python -m scripts.check_sync"""

    program = "python -m scripts.check_sync"
    summary = "Estimate the time offset between video and IMU of every recording, from the rotation that both saw."
    positional = ("data",)

    data: Path = setting(help="folder of a prepared dataset, such as data/ego4d; gets sync.csv")
    max_offset_s: float = setting(0.2, ge=0, lt=3, help="larger offsets have the verdict offset, seconds")
    num_workers: int = setting(0, ge=0, help="processes; 0 takes every core")
