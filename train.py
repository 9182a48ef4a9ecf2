"""Pretraining of an IMU encoder against the video of the same five seconds, or on the IMU signal alone.

    python train.py --config configs/demo/pretrain.yaml
    torchrun --nproc_per_node=4 train.py --config configs/pretrain/ego4d.yaml

Writes runs/<name>/ with config.yaml, environment.json, log.txt, metrics.csv, tensorboard/, loss.png, results.json and
checkpoints/. SIGTERM or Ctrl-C saves a checkpoint and ends the run. The same command with --resume auto resumes it,
also in the middle of an epoch, with the losses of an uninterrupted run.
"""

from configs.load import dump, parse
from configs.training import TrainConfig

if __name__ == "__main__":
    parse(TrainConfig)  # --help and mistakes are answered before anything slow is imported

import hashlib
import logging
import math
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from datasets.loader import LoaderSettings, PairLoader
from datasets.protocols.validation import exclude_classes, hold_out
from datasets.store import Store, open_store
from datasets.windows import Windows, list_windows
from models import build_objective, build_on_first_rank
from models.batchnorm import hold_statistics
from models.compiling import CompileError, compile_encoders
from models.objectives import CrossModal, Masked
from models.pretrained import WeightsError
from utils import checkpoint, distributed
from utils.failure import OutOfMemory, fail_together, run
from utils.optim import (
    NonFiniteError,
    autocast_dtype,
    check_scale,
    describe_non_finite,
    parameter_groups,
    warmup_cosine,
)
from utils.plots import loss_curve
from utils.progress import Stopwatch, describe_step, log_facts, run_log
from utils.resume import SaveTimer, check_same_experiment, choose_checkpoint, random_state, restore_random_state
from utils.run import MetricsLog, commit, default_name, open_run, seed_everything, write_json

log = logging.getLogger("train")

# What a resumed run may set anew; anything else would make it another experiment.
FREE_ON_RESUME = frozenset(
    ("resume", "run_name", "runs_root", "data_root", "num_workers", "device", "max_steps")
    + ("save_interval", "save_minutes", "eval_interval", "log_interval")
    + ("micro_batch_size", "checkpoint_activations")  # what fits into memory may have changed
)
# Errors that are told in one line; any other is a defect, and has its traceback.
EXPECTED = (OSError, ValueError, WeightsError, CompileError, NonFiniteError, OutOfMemory, distributed.RankError)


def main(argv: list[str] | None = None) -> int:
    """Run the experiment of the command line; returns the exit status, 128 + signal where a signal ended the run."""
    config = parse(TrainConfig, argv)
    distributed.refuse_ranks_that_do_not_know_each_other()
    ranks = distributed.setup(config.device)
    with ExitStack() as cleanup, fail_together():
        name = distributed.on_first_rank(lambda: config.run_name or default_name(config.model, config.dataset))
        cleanup.enter_context(run_log(config.runs_root / name / "log.txt" if ranks.first else None))
        status = train(config, config.runs_root / name, ranks, cleanup)
    distributed.teardown()  # not after a failure: NCCL's waits for ranks that sit in a collective
    return status


def train(config: TrainConfig, folder: Path, ranks: distributed.Ranks, cleanup: ExitStack) -> int:
    """The experiment, from top to bottom.

    Args:
        folder: of the run.
        cleanup: takes what must be undone when the run ends, however it ends.
    """
    device = ranks.device
    started_from = distributed.on_first_rank(lambda: choose_checkpoint(config.resume, folder / "checkpoints"))
    seed_everything(config.seed)
    objective = build_objective(config)  # what the method makes of a batch

    # Data
    loader, held_out_loader = build_loaders(config, objective, ranks)
    training, held_out = loader.windows, held_out_loader.windows
    store = training.store
    steps_per_epoch = len(loader)
    total_steps = steps_per_epoch * config.epochs
    last_step = min(total_steps, config.max_steps or total_steps)

    # Model: rank 0 alone reads published weights; DistributedDataParallel hands them to the others
    model, video_config = build_on_first_rank(config)
    model.to(device)
    if config.compile:
        compile_encoders(model, device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    update_statistics = hold_statistics(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.lr, fused=config.fused_adamw)
    dtype = autocast_dtype(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    # Progress, and where to resume
    step, found, chance, mean_loss, reported = 0, {}, {}, math.nan, 0
    digest = hashlib.sha256("\n".join(training.ids()).encode()).hexdigest()
    facts = {"precision": str(dtype), "digest of the training windows": digest, "video_origin": config.video_origin}
    torch.manual_seed(config.seed + ranks.rank)  # ranks share weights, not dropout
    if started_from is not None:
        payload = restore(started_from, config, facts, model, optimizer, scaler, ranks)
        step = payload["step"]
        mean_loss, found, chance, reported = payload["report"]
    engine = model
    if ranks.world_size > 1:
        ids = [device.index] if device.type == "cuda" else None
        engine = DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)

    if ranks.first:
        open_run(folder, dump(config), device, ranks.world_size)
        metrics = MetricsLog(folder, first_step=step)
        cleanup.callback(metrics.close)
    log_plan(folder, config, objective, loader, held_out, model, ranks, dtype)
    if started_from is not None:
        log_facts(log, {"resumed": f"{started_from}, at step {step}"})

    def save(*names: str) -> None:
        """Write one checkpoint under these names; every rank adds the state of its randomness."""
        random_states = distributed.gather_objects(random_state(device))
        if not ranks.first:
            return
        payload = {"kind": "pretrain", "config": config.model_dump(mode="json"), "video_config": video_config}
        payload |= {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}
        payload |= {"step": step, "epoch": step // steps_per_epoch, "random_state": random_states, "facts": facts}
        payload |= {"dataset": store.fingerprint(), "commit": commit(), "report": (mean_loss, found, chance, reported)}
        first, *others = (folder / "checkpoints" / name for name in names)
        checkpoint.save(first, payload)
        for other in others:
            checkpoint.copy(first, other)
        if (folder / "metrics.csv").exists():
            loss_curve(folder / "metrics.csv", folder / "loss.png", f"{title_of(store)}: {folder.name}")

    # Training
    stopped_by: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        cleanup.callback(signal.signal, number, signal.signal(number, lambda n, _: stopped_by.append(n)))
    stop, timer = 0.0, SaveTimer(config.save_minutes if ranks.first else math.inf)
    watch, begun, first_step = Stopwatch(device), time.perf_counter(), step
    bar = tqdm(total=last_step, initial=step, unit="step", disable=not (ranks.first and sys.stderr.isatty()))
    cleanup.callback(bar.close)
    while step < last_step and not stop:
        epoch = step // steps_per_epoch + 1  # counted from 1, as people do
        model.train()
        for batch in watch.waiting(loader.epoch(epoch, start_batch=step % steps_per_epoch)):
            inputs = objective.inputs(batch, device, epoch)
            lr = config.lr * warmup_cosine(step, total_steps, config.warmup)
            for group in optimizer.param_groups:
                group["lr"] = lr

            with watch.phase("forward"):
                with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                    outputs = engine(*inputs)
                loss = objective.loss(outputs)
            with watch.phase("backward"):
                scaler.scale(loss).backward()
            with watch.phase("optimizer"):
                scaler.unscale_(optimizer)
                grad_norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip_grad or math.inf)
            # The only synchronisation of a step; a value that is not finite on any rank is not finite in the sum
            flags = torch.stack([loss, grad_norm, *loss.new_tensor([len(stopped_by), timer.due()])])
            loss_sum, norm_sum, stop, save_now = distributed.all_reduce_sum(flags).tolist()
            mean_loss, grad_norm = loss_sum / ranks.world_size, norm_sum / ranks.world_size
            skipped = scaler.is_enabled() and not math.isfinite(grad_norm)  # in fp16 the scaler skips such a step
            if not (math.isfinite(mean_loss) and (skipped or math.isfinite(grad_norm))):
                rows = objective.per_window(outputs)
                raise NonFiniteError(describe_non_finite(step, training.ids(batch.index), inputs[0], rows))
            with watch.phase("optimizer"):
                update_statistics()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            if skipped:
                check_scale(scaler, step)

            step += 1
            epoch_ended = step % steps_per_epoch == 0
            bar.update()
            watch.step_done(config.batch_size)
            if ranks.first and (step % config.log_interval == 0 or epoch_ended or step == last_step):
                left = (time.perf_counter() - begun) / (step - first_step) * (last_step - step)
                values = {"loss": mean_loss, "lr": lr, "grad_norm": grad_norm}
                values |= objective.progress(outputs) | watch.look()
                metrics.write(step - 1, **values)  # a row carries the number of its step, counted from 0
                log.info("%s", describe_step(epoch, config.epochs, step, total_steps, values, left))
            if stop or step == last_step:
                break
            if save_now and not epoch_ended:
                save("last.pt")
                timer.saved()
                watch.look()  # this is not training speed

        if epoch_ended or step == last_step:
            if ranks.first and len(held_out) and (epoch % config.eval_interval == 0 or step == last_step):
                found, chance, reported = objective.evaluate(model, held_out_loader.epoch(0), device, dtype)
                metrics.write(step - 1, **found)
                log.info("%s", objective.describe(found, chance, reported))
            keep = epoch_ended and (epoch % config.save_interval == 0 or step == total_steps)
            save("last.pt", *([f"epoch_{epoch:04}.pt"] if keep else []))
            timer.saved()
            watch.look()  # none of this is training speed
        else:
            save("last.pt")

    if stop and step < last_step:
        log.info("stopped     by a signal, after step %d; the same command with --resume auto resumes", step)
        return 128 + max(stopped_by, default=signal.SIGTERM)
    if ranks.first and (step > first_step or not (folder / "results.json").exists()):
        result = {"command": "train", "dataset": config.dataset, "simulated": store.simulated, "commit": commit()}
        result |= {"steps": step, "total_steps": total_steps, "windows": len(training), "held_out": reported}
        result |= {"loss": mean_loss, "retrieval": {}, objective.report: found, "chance": chance}
        result |= {"video_origin": config.video_origin, "seed": config.seed}
        write_json(folder / "results.json", result | {"config": config.model_dump(mode="json")})
    log.info("done        %s", folder / "checkpoints" / "last.pt")
    return 0


def build_loaders(
    config: TrainConfig, objective: CrossModal | Masked, ranks: distributed.Ranks
) -> tuple[PairLoader, PairLoader]:
    """Batches of this rank to train on, and batches of the held-out windows, which rank 0 evaluates alone."""
    store = open_store(config.data_root, config.dataset)
    windows = exclude_classes(list_windows(store, objective.needs_video), config.exclude_classes or [])
    trained, kept = hold_out(windows, config.held_out, config.max_held_out, config.seed)
    batch_per_rank = config.batch_size_per_rank(ranks.world_size)
    settings = LoaderSettings(
        batch_per_rank,
        config.clip_len if objective.needs_video else 0,
        config.normalize,
        seed=config.seed,
        num_threads=config.num_workers,
        frames_used=objective.frames_used,
        rank=ranks.rank,
        world_size=ranks.world_size,
        pin=ranks.device.type == "cuda",
    )
    of_report = replace(
        settings,
        batch_size=config.micro_batch_size or batch_per_rank,
        train=False,
        leave_out=True,
        max_unreadable=0.5,
        rank=0,
        world_size=1,
    )
    return PairLoader(windows.subset(trained), settings), PairLoader(windows.subset(kept), of_report)


def restore(
    path: Path,
    config: TrainConfig,
    facts: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    ranks: distributed.Ranks,
) -> dict[str, Any]:
    """Put model, optimizer, scaler and random generators back to a checkpoint's state; returns the checkpoint.

    Raises:
        CheckpointError: if the file cannot be used, or is of another experiment.
    """
    payload = checkpoint.load(path, kind="pretrain")
    check_same_experiment(payload, config.model_dump(mode="json"), facts, FREE_ON_RESUME, path)
    checkpoint.load_weights(model, payload["model"], path)
    optimizer.load_state_dict(payload["optimizer"])
    scaler.load_state_dict(payload["scaler"])
    seed = config.seed + payload["step"]
    restore_random_state(payload["random_state"], ranks.rank, ranks.world_size, seed, ranks.device)
    return payload


def log_plan(
    folder: Path,
    config: TrainConfig,
    objective: CrossModal | Masked,
    loader: PairLoader,
    held_out: Windows,
    model: nn.Module,
    ranks: distributed.Ranks,
    dtype: torch.dtype,
) -> None:
    """Log what the run is about to do."""
    training = loader.windows
    lines = {"run": folder}
    lines["data"] = f"{title_of(training.store)}: {len(training)} windows to train on, {len(held_out)} held out"
    if config.held_out and not len(held_out):
        lines[""] = f"(there is only one session or recording: none can be held out, no {objective.report} is reported)"
    parts = (config.imu_encoder, config.video_encoder, config.loss and f"{config.loss} loss", config.video_origin)
    lines["model"] = f"{config.model}: {', '.join(part for part in parts if part)}"
    total = sum(p.numel() for p in model.parameters()) / 1e6
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) / 1e6
    lines["parameters"] = f"{total:.2f} M, of which {trained:.2f} M are trained"
    per_rank = loader.settings.batch_size
    lines["batch"] = f"{config.batch_size} windows: {per_rank} on each of {ranks.world_size} ranks"
    lines["steps"] = f"{len(loader) * config.epochs}: {config.epochs} epochs of {len(loader)}"
    name = torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else "CPU"
    lines["device"] = f"{name}, {str(dtype).split('.')[1]}"
    log_facts(log, lines)


def title_of(store: Store) -> str:
    """Name of a dataset, marked where it is simulated."""
    return f"{'simulated ' if store.simulated else ''}{store.name}"


if __name__ == "__main__":
    run(main, TrainConfig.program, EXPECTED)
