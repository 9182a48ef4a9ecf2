"""A study: which encoders are pretrained on what, and how each is evaluated; every pair of the two is a run of its own.

    title: Two methods on two datasets
    datasets: {Ego4D: ego4d, MMEA: mmea}          # role in the study -> prepared dataset
    pretraining:
      ours_ego4d: {approach: ours, dataset: Ego4D, config: configs/pretrain/ego4d.yaml}
      imu_only_ego4d: {approach: imu_only, dataset: Ego4D, config: configs/pretrain/imu_only_ego4d.yaml}
      imu_only_both:                              # on both; settings: {dataset_weights: [1, 2]} says how much of each
        {approach: imu_only, dataset: [Ego4D, MMEA], config: configs/pretrain/imu_only_ego4d.yaml}
    evaluations:
      probe_mmea:
        {kind: few_shot, dataset: MMEA, config: configs/downstream/mmea5.yaml, baselines: [random, supervised]}
      invariant_mmea_to_pd:                       # transfer: labels of one dataset, all windows of another predicted
        {kind: few_shot, dataset: MMEA, test_dataset: PD, config: configs/downstream/mmea5.yaml, of: [ours_ego4d],
         read: [{features: [invariant], heads: [linear, trees]}, {features: [encoder, handcrafted], heads: [trees]}]}

With ``folds: [s1, s2]`` a part whose name holds ``{fold}`` stands for one of each fold (``configs/folds.py``); without
``of``, an evaluation of a fold is of the encoders of that fold. ``folds: {people_of: MMEA}`` are all people of a
dataset, who are known once it is prepared.

With ``page: cohorts`` the report compares representations over cohorts (``scripts/reporting/cohorts_page.py``), in
place of the paper's tables. ``recordings`` is what ``scripts.prepare`` reads, so that one command prepares them too:

    recordings: {hapt: {format: hapt, raw: hapt}}         # prepared dataset: settings; raw is a folder below --raw

``chosen_on`` says whose labels chose settings that the study compares; the pages of cohorts and of folds then give
their averages a second time without what is predicted of these people:

    chosen_on: {MMEA: [p1, p2]}                           # role -> people, of all datasets from the same raw recordings

The runs are named ``ours_ego4d``, ``probe_mmea-ours_ego4d`` and ``invariant_mmea_to_pd-invariant_linear``.
``scripts.reproduce`` runs what is missing of them and ``scripts.report`` puts them into tables.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from configs.base import Config, FolderName, as_list
from configs.evaluation import DownstreamConfig, FeatureName, FeaturesConfig, HeadName, ZeroshotConfig
from configs.folds import FOLD, expand_folds, with_people
from configs.load import ConfigError, load, read_yaml
from configs.training import TrainConfig

SCHEMAS: dict[str, type[Config]] = {
    "train": TrainConfig,
    "downstream": DownstreamConfig,
    "zeroshot": ZeroshotConfig,
    "features": FeaturesConfig,
}

Approach = Literal["ours", "imu_only", "imu2clip", "softmax", "conv_gru", "clip", "recommended"]
APPROACHES = get_args(Approach)
Baseline = Literal["random", "supervised", "handcrafted"]
Values = dict[str, bool | int | float | str | list[str] | list[int] | list[float]]
BETWEEN = " + "  # roles of a pretraining on several datasets


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: str | None = Field(None, description="of the study's folds the one that it is of, see configs/folds.py")
    template: str | None = Field(None, description="its name before {fold} was replaced")


class Pretraining(_Part):
    """One run of train.py."""

    approach: Approach
    dataset: str | list[str] = Field(description="role of the dataset, a key of datasets; or several")
    config: Path
    settings: Values = {}

    @property
    def roles(self) -> list[str]:
        """Roles of its datasets."""
        return as_list(self.dataset)

    @property
    def on(self) -> str:
        """Its roles in words."""
        return BETWEEN.join(self.roles)


class Read(_Part):
    """Runs of scripts.features, one for each head (and encoder, where embeddings are among the features)."""

    features: list[FeatureName] = Field(min_length=1)
    heads: list[HeadName] = Field(min_length=1)
    calibrate: Literal["none", "person"] = "none"
    approaches: list[Approach] | None = Field(None, description="encoders of these approaches only; default: of all")
    random_weights: bool = Field(False, description="the first of these encoders, with weights drawn at random")


class Evaluation(_Part):
    """One run of downstream.py or zeroshot.py for every encoder and baseline, and what heads read."""

    kind: Literal["few_shot", "zero_shot"]
    dataset: str = Field(description="role of the dataset, a key of datasets")
    config: Path
    settings: Values = {}
    test_dataset: str | None = Field(None, description="role of the dataset that is predicted, for a transfer")
    of: list[str] | None = Field(None, description="names of pretraining runs; default: all that the kind can take")
    probes: bool = Field(True, description="whether downstream.py evaluates the encoders, or only scripts.features")
    baselines: list[Baseline] = []
    baseline_settings: Values = Field({}, description="of the baselines alone, as training from scratch is slow")
    read: list[Read] = []

    @property
    def transfers(self) -> bool:
        """Whether all windows of another dataset, or of other people, are predicted."""
        return self.test_dataset is not None or "test_subjects" in self.settings


class Study(_Part):
    """What a study file says."""

    title: str
    folds: list[FolderName] = Field([], description="what stands for {fold} in turn, such as people held out")
    simulate: Path | None = Field(None, description="settings of scripts.simulate, whose recordings are studied")
    prepare: Path | None = Field(None, description="settings of scripts.prepare for them")
    recordings: dict[FolderName, Values] = Field({}, description="prepared dataset -> settings of scripts.prepare")
    chosen_on: dict[str, list[str]] = Field({}, description="role of a dataset -> people whose labels chose settings")
    page: Literal["paper", "cohorts"] = Field("paper", description="what the report shows")
    datasets: dict[str, FolderName]
    pretraining: dict[FolderName, Pretraining] = Field(min_length=1)
    evaluations: dict[FolderName, Evaluation]

    @property
    def folds_unknown(self) -> bool:
        """Whether the folds are the people of a dataset that is not prepared yet."""
        return FOLD in self.folds

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        return expand_folds(values)

    @model_validator(mode="after")
    def _check(self) -> "Study":
        for name, part in [*self.pretraining.items(), *self.evaluations.items()]:
            for role in as_list(part.dataset):
                if role not in self.datasets:
                    raise ValueError(f"{name}: dataset {role!r} is not one of {', '.join(self.datasets)}")
        for name, evaluation in self.evaluations.items():
            for source in evaluation.of or []:
                if source not in self.pretraining:
                    raise ValueError(f"{name}: of {source!r} is not one of {', '.join(self.pretraining)}")
                if evaluation.kind == "zero_shot" and self.pretraining[source].approach == "imu_only":
                    raise ValueError(f"{name}: {source} has no video encoder, so there is no zero-shot with it")
            if evaluation.test_dataset not in (None, *self.datasets):
                raise ValueError(
                    f"{name}: test_dataset {evaluation.test_dataset!r} is not one of {', '.join(self.datasets)}"
                )
            if evaluation.kind == "zero_shot" and (evaluation.baselines or evaluation.read or evaluation.transfers):
                raise ValueError(f"{name}: baselines, read and test_dataset are for few_shot")
        if (self.simulate is None) != (self.prepare is None):
            raise ValueError("simulate and prepare go together")
        if self.folds and self.page != "paper":
            raise ValueError(f"page {self.page}: studies with folds have a page of their own, leave one of the two out")
        for role in self.chosen_on:
            if role not in self.datasets:
                raise ValueError(f"chosen_on: dataset {role!r} is not one of {', '.join(self.datasets)}")
        if self.chosen_on and not self.folds and self.page == "paper":
            raise ValueError("chosen_on: only the pages of cohorts and of folds leave people out, take it away")
        for name, settings in self.recordings.items():
            if name not in self.datasets.values():
                raise ValueError(f"recordings: {name!r} is not one of {', '.join(self.datasets.values())}")
            if absent := sorted({"format", "raw"} - settings.keys()):
                raise ValueError(f"recordings: {name}: {absent[0]} is missing")
        return self

    def recorded_as(self, role: str) -> str:
        """The raw recordings of a dataset: the same name in two datasets of one is the same person."""
        dataset = self.datasets[role]
        return str(self.recordings.get(dataset, {}).get("raw", dataset))

    @property
    def chosen_people(self) -> frozenset[tuple[str, str]]:
        """Raw recordings and person, of all in ``chosen_on``."""
        return frozenset((self.recorded_as(role), name) for role, people in self.chosen_on.items() for name in people)


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        name: folder of the run.
        command: what runs it, a key of ``SCHEMAS``.
        file: YAML of its settings; every path starts at the project's root.
        values: settings that stand above those of the file.
        needs: names of the planned runs whose checkpoint it reads.
        approach: how the encoder came to be; ``read`` where a head reads features.
        pretrained_on: roles of the datasets of pretraining, ``BETWEEN`` them; None for a baseline.
        evaluation: name of the evaluation; None for a pretraining run.
        dataset_role: role of the dataset that is evaluated on; of a pretraining as ``pretrained_on``.
    """

    name: str
    command: Literal["train", "downstream", "zeroshot", "features"]
    file: Path
    values: dict[str, Any]
    needs: tuple[str, ...]
    approach: Approach | Baseline | Literal["read"]
    pretrained_on: str | None
    evaluation: str | None
    dataset_role: str

    @cached_property
    def config(self) -> Config:
        """Its settings, validated; raises ConfigError if one is refused."""
        return load(SCHEMAS[self.command], self.file, self.values)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The same in the form of results.json."""
        return self.config.model_dump(mode="json")


def load_study(path: Path, data_root: Path | None = None) -> Study:
    """Read a study file.

    Args:
        data_root: folder of the prepared datasets, whose people may be its folds; see ``Study.folds_unknown``.

    Raises:
        ConfigError: if it is missing or refused; names file, key and remedy.
    """
    content = read_yaml(path)
    try:
        study = Study(**with_people(content, data_root))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        raise ConfigError(f"{path}: " + "; ".join(problem.removeprefix(": ") for problem in problems)) from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    parts = [*study.pretraining.values(), *study.evaluations.values()]
    for file in [part.config for part in parts] + [f for f in (study.simulate, study.prepare) if f]:
        if not file.is_file():
            raise ConfigError(f"{path}: names {file}, which is not there; paths start at the project's root")
    return study


def planned_runs(study: Study, data_root: Path, runs_root: Path) -> list[PlannedRun]:
    """All runs of a study, each after those that it needs."""
    roots = {"data_root": data_root, "runs_root": runs_root}
    listed = []
    for name, part in study.pretraining.items():
        values = {"dataset": [study.datasets[role] for role in part.roles]} | part.settings | roots
        values |= {"run_name": name}
        listed.append(PlannedRun(name, "train", part.config, values, (), part.approach, part.on, None, part.on))
    for name, evaluation in study.evaluations.items():
        listed += _evaluation_runs(study, name, evaluation, roots)
    return listed


def _evaluation_runs(study: Study, name: str, evaluation: Evaluation, roots: dict[str, Path]) -> list[PlannedRun]:
    zero_shot = evaluation.kind == "zero_shot"
    of_fold = [
        s for s, part in study.pretraining.items() if evaluation.fold is None or part.fold in (None, evaluation.fold)
    ]
    able = [s for s in of_fold if not (zero_shot and study.pretraining[s].approach == "imu_only")]
    sources = able if evaluation.of is None else evaluation.of
    common = {"dataset": study.datasets[evaluation.dataset]} | evaluation.settings | roots
    if evaluation.test_dataset:
        common |= {"test_dataset": study.datasets[evaluation.test_dataset]}

    def planned(command: str, source: str, values: dict, needs: tuple, approach: str, on: str | None) -> PlannedRun:
        run_name = f"{name}-{source}"
        values = common | values | {"run_name": run_name}
        file, role = evaluation.config, evaluation.dataset
        return PlannedRun(run_name, command, file, values, needs, approach, on, name, role)

    listed = []
    for source in sources if evaluation.probes else ():
        part, encoder = study.pretraining[source], {"checkpoint": checkpoint_of(roots["runs_root"], source)}
        command = "zeroshot" if zero_shot else "downstream"
        listed.append(planned(command, source, encoder, (source,), part.approach, part.on))
    for baseline in evaluation.baselines:
        if baseline == "handcrafted":
            values = {"features": ["handcrafted"], "head": "forest"} | evaluation.baseline_settings
            listed.append(planned("features", baseline, values, (), baseline, None))
            continue
        # the first encoder's architecture and normalisation, with random weights
        first = (sources or of_fold)[0]
        kind = {"random_weights": True} if baseline == "random" else {"mode": "supervised", "standardize": False}
        values = {"checkpoint": checkpoint_of(roots["runs_root"], first)} | kind | evaluation.baseline_settings
        listed.append(planned("downstream", baseline, values, (first,), baseline, None))
    for read in evaluation.read:
        for head in read.heads:
            source = "_".join([*read.features, head, *(["calibrated"] if read.calibrate == "person" else [])])
            values = {"features": read.features, "head": head, "calibrate": read.calibrate}
            if "encoder" not in read.features:
                listed.append(planned("features", source, values, (), "read", None))
                continue
            chosen = [s for s in sources if study.pretraining[s].approach in (read.approaches or APPROACHES)]
            for encoder in chosen[:1] if read.random_weights else ():
                drawn = values | {"checkpoint": checkpoint_of(roots["runs_root"], encoder), "random_weights": True}
                listed.append(planned("features", f"{source}-random", drawn, (encoder,), "read", None))
            for encoder in () if read.random_weights else chosen:
                values = values | {"checkpoint": checkpoint_of(roots["runs_root"], encoder)}
                on = study.pretraining[encoder].on
                listed.append(planned("features", f"{source}-{encoder}", values, (encoder,), "read", on))
    return listed


def checkpoint_of(runs_root: Path, name: str) -> Path:
    """Where a pretraining run leaves its encoder."""
    return runs_root / name / "checkpoints" / "last.pt"
