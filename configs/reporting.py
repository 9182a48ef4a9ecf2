"""Settings of the commands that show results and datasets, run studies and measure speed."""

import warnings
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from configs.base import Config, PositiveInt, WindowLength, setting
from configs.constants import WINDOW_S


class ReportConfig(Config):
    """python -m scripts.report"""

    program = "python -m scripts.report"
    summary = "Collect results.json files into one page (Markdown and HTML), with every table and figure as files."

    runs: list[Path] = setting(min_length=1, help="run folders, or folders that hold some")
    out: Path = setting(help="folder to write report.md, report.html, tables/ and figures/ to")
    title: str = setting("Results", help="heading of the page")
    study: Path | None = setting(None, help="YAML of the runs' study: adds the paper's tables and figures")
    data_root: Path = setting(Path("data"), help="folder of the prepared datasets, for sizes and sample windows")


class ReproduceConfig(Config):
    """python -m scripts.reproduce"""

    program = "python -m scripts.reproduce"
    summary = "Run what is missing of a study: pretrain each encoder, evaluate each, and write the report."

    study: Path = setting(help="YAML of the study, such as configs/study/demo.yaml")
    out: Path = setting(help="folder of the study: runs/, logs/ and report_<study>/; a second call resumes it")
    data_root: Path | None = setting(None, help="folder of the prepared datasets; default: data/ in --out")
    raw: Path | None = setting(
        None, help="folder of the raw recordings that the study names, to prepare what is absent; default: nothing is"
    )
    ranks: PositiveInt = setting(
        1, help="processes that pretrain together, under torchrun, and share each batch: the experiment is the same"
    )
    commands: bool = setting(False, help="print the commands of what is missing, for a cluster, and run nothing")


class DescribeConfig(Config):
    """python -m scripts.describe"""

    program = "python -m scripts.describe"
    summary = "Show what prepared datasets hold: one HTML page each, and their sizes as in Table 1 of the paper."
    positional = ("data",)

    data: list[Path] = setting(min_length=1, help="folders of prepared datasets, such as data/mmea")
    out: Path | None = setting(None, help="HTML file to write, with one dataset; default: describe.html in its folder")
    window_s: WindowLength = setting(WINDOW_S, help="length of the windows that are counted and shown, seconds")

    @model_validator(mode="after")
    def _check(self) -> "DescribeConfig":
        if self.out is not None and len(self.data) > 1:
            raise ValueError(f"out is one file and {len(self.data)} datasets have a page each: drop it or name one")
        return self


with warnings.catch_warnings():
    # the name hides a deprecated method of pydantic's, which nothing calls
    warnings.filterwarnings("ignore", 'Field name "json"')

    class BenchmarkConfig(Config):
        """python -m scripts.benchmark"""

        program = "python -m scripts.benchmark"
        summary = "Measure speed against the authors' way and other ways to do the same, as ratios within one run."
        positional = ("benchmark",)

        benchmark: Literal["prepare", "loader", "train", "fewshot", "predict"] = setting(help="what to measure")
        json: bool = setting(False, help="print one JSON object of the figures instead of the table")
        repeats: PositiveInt = setting(5, help="times that each contender runs, in turn; the median counts")
        long_min: float = setting(5.0, ge=1, help="prepare: length of the recording whose memory is measured, minutes")
        batch_size: PositiveInt = setting(32, help="train: windows per batch and process")
        recipe: Path = setting(Path("configs/demo/pretrain.yaml"), help="train: pretraining YAML, with video, to time")
        steps: int = setting(20, ge=5, multiple_of=5, help="train: steps that are timed in each round")
        hours: float = setting(24.0, gt=0.01, help="predict: length of the recording, hours")
        model: Path | None = setting(
            None, help="predict: folder of a classifier; default: the small convolutional encoder with random weights"
        )
        ranks: PositiveInt = setting(1, help="train: compare this many processes with one, if more than one; on CPUs")
