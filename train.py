"""Pretraining of an IMU encoder against the video of the same seconds, or on the IMU signal alone.

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
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from datasets import features
from datasets.loader import LoaderSettings, PairLoader
from datasets.protocols.pretraining import datasets_of, pretraining_windows
from datasets.store import joint_fingerprint, open_store
from datasets.windows import Windows
from models import build_augmentation, build_objective, build_on_first_rank
from models.batchnorm import hold_statistics
from models.compiling import compile_encoders
from models.objectives import Contrast, CrossModal, Masked, evaluate_each
from models.video_cache import cached_features
from utils import checkpoint, distributed, optim
from utils.distributed import Ranks
from utils.failure import OutOfMemory, fail_together, run
from utils.progress import Stopwatch, describe_step, run_log
from utils.resume import choose_checkpoint, random_state, restore
from utils.run import MetricsLog, commit, default_name, open_run, seed_everything, write_json

log = logging.getLogger("train")

DRAW_EVERY_S = 30  # the loss curve, at a checkpoint; epochs may take less time than drawing
# Errors that are told in one line; any other is a defect, and has its traceback.
EXPECTED = (OSError, ValueError, optim.NonFiniteError, OutOfMemory, distributed.RankError)


def main(argv: list[str] | None = None) -> int:
    """Run the experiment of the command line; returns the exit status, 128 + signal where a signal ended the run."""
    config = parse(TrainConfig, argv)
    distributed.refuse_tasks_without_ranks()
    ranks = distributed.setup(config.device)
    with ExitStack() as cleanup, fail_together():
        name = distributed.on_first_rank(lambda: config.run_name or default_name(config.model, *config.datasets))
        cleanup.enter_context(run_log(config.runs_root / name / "log.txt" if ranks.first else None))
        status = train(config, config.runs_root / name, ranks, cleanup)
    distributed.teardown()  # not after a failure: NCCL's waits for ranks that sit in a collective
    return status


def train(config: TrainConfig, folder: Path, ranks: Ranks, cleanup: ExitStack) -> int:
    """The experiment, from top to bottom; ``cleanup`` takes what must be undone when it ends, however it ends."""
    device = ranks.device
    started_from = distributed.on_first_rank(lambda: choose_checkpoint(config.resume, folder / "checkpoints"))
    seed_everything(config.seed)
    objective = build_objective(config)  # what the method makes of a batch

    # Data
    augmentation = build_augmentation(config, ranks)  # None where nothing is changed
    loader, held_out_loaders = build_loaders(config, objective, ranks)
    training, held_out = loader.windows, [of_report.windows for of_report in held_out_loaders]
    stores = [windows.store for windows in held_out]
    title = " + ".join(f"{'simulated ' if store.simulated else ''}{store.name}" for store in stores)
    steps_per_epoch = len(loader)
    total_steps = steps_per_epoch * config.epochs
    last_step = min(total_steps, config.max_steps or total_steps)

    # Model: rank 0 alone reads published weights; DistributedDataParallel hands them to the others
    model, video_config = build_on_first_rank(config)
    model.to(device)
    if config.compile:
        compile_encoders(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    update_statistics = hold_statistics(model)
    optimizer = torch.optim.AdamW(optim.parameter_groups(model, config.weight_decay), lr=config.lr, fused=True)
    dtype = optim.autocast_dtype(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    # Progress, and where to resume
    step, found, chance, mean_loss, reported = 0, {}, {}, math.nan, 0
    digest = hashlib.sha256("\n".join(training.ids()).encode()).hexdigest()
    facts = {"precision": str(dtype), "digest of the training windows": digest, "video_origin": config.video_origin}
    torch.manual_seed(config.seed + ranks.rank)  # ranks share weights, not dropout
    if started_from is not None:
        payload = restore(started_from, config.model_dump(mode="json"), facts, model, optimizer, scaler, ranks)
        step = payload["step"]
        mean_loss, found, chance, reported = payload["report"]
        log.info("resumed     %s, at step %d", started_from, step)
    engine = model
    if ranks.world_size > 1:
        engine = DistributedDataParallel(model, gradient_as_bucket_view=True)  # ranks have the state of rank 0 now
        engine.broadcast_buffers = False  # statistics and queues are made of all ranks' rows: they stay equal

    if ranks.first:
        open_run(folder, dump(config), device, ranks.world_size)
        metrics = MetricsLog(folder, first_step=step)
        cleanup.callback(metrics.close)
    log.info("run         %s", folder)
    log_plan(config, title, loader, held_out, model)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    log.info("device      %s, %s", name, str(dtype).removeprefix("torch."))
    if config.video_cache is not None:  # now that all ranks have the weights
        encoder = model.video_encoder
        loader, *held_out_loaders = (
            with_features(which, config, encoder, device, dtype) for which in (loader, *held_out_loaders)
        )

    def save(*names: str) -> None:
        """Write one checkpoint under these names; every rank adds the state of its randomness."""
        nonlocal saved_at, drawn_at
        random_states = distributed.gather_objects(random_state(device))
        if not ranks.first:
            return
        payload = {"kind": "pretrain", "config": config.model_dump(mode="json"), "video_config": video_config}
        payload |= {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}
        payload |= {"step": step, "epoch": step // steps_per_epoch, "random_state": random_states, "facts": facts}
        payload |= {"dataset": joint_fingerprint(stores), "commit": commit()}
        payload |= {"report": (mean_loss, found, chance, reported)}
        first, *others = (folder / "checkpoints" / name for name in names)
        checkpoint.save(first, payload)
        for other in others:
            checkpoint.copy(first, other)
        saved_at = time.monotonic()
        if stop or step == last_step or saved_at - drawn_at >= DRAW_EVERY_S:
            from utils.plots import loss_curve  # slow to import, and only the first rank draws

            loss_curve(metrics.path, folder / "loss.png", f"{title}: {folder.name}")
            drawn_at = saved_at
        watch.look()  # what came before is not training speed

    # Training
    stopped_by: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        cleanup.callback(signal.signal, number, signal.signal(number, lambda n, _: stopped_by.append(n)))
    stop, first_step, watch = 0.0, step, Stopwatch(device)
    begun = saved_at = time.monotonic()
    drawn_at = -math.inf
    while step < last_step and not stop:
        epoch = step // steps_per_epoch + 1  # counted from 1, as people do
        model.train()
        for batch in watch.waiting(loader.epoch(epoch, start_batch=step % steps_per_epoch)):
            inputs = objective.inputs(batch, device, epoch)
            if augmentation is not None:
                moments = (values.to(device) for values in batch.moments)
                inputs = (augmentation.imu(inputs[0], *moments, epoch, step, objective.views), *inputs[1:])
                if config.augments_video:
                    inputs = (*inputs, augmentation.warps(len(batch.index), epoch, step, device))
            lr = config.lr * optim.warmup_cosine(step, total_steps, config.warmup)
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
            save_due = ranks.first and time.monotonic() - saved_at >= 60 * config.save_minutes
            flags = torch.stack([loss, grad_norm, *loss.new_tensor([len(stopped_by), save_due])])
            loss_sum, norm_sum, stop, save_now = distributed.all_reduce_sum(flags).tolist()
            mean_loss, grad_norm = loss_sum / ranks.world_size, norm_sum / ranks.world_size
            skipped = scaler.is_enabled() and not math.isfinite(grad_norm)  # in fp16 the scaler skips such a step
            if not (math.isfinite(mean_loss) and (skipped or math.isfinite(grad_norm))):
                rows = objective.per_window(outputs)
                ids, imu = training.ids(batch.index), inputs[0][: len(rows)]
                raise optim.NonFiniteError(optim.describe_non_finite(step, ids, imu, rows))
            with watch.phase("optimizer"):
                update_statistics()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            if skipped:
                optim.check_scale(scaler, step)

            step += 1
            epoch_ended = step % steps_per_epoch == 0
            watch.step_done(config.batch_size)
            if ranks.first and (step % config.log_interval == 0 or epoch_ended or step == last_step):
                left = (time.monotonic() - begun) / (step - first_step) * (last_step - step)
                values = {"loss": mean_loss, "lr": lr, "grad_norm": grad_norm}
                values |= objective.progress(outputs) | watch.look()
                metrics.write(step - 1, **values)  # a row carries the number of its step, counted from 0
                log.info("%s", describe_step(epoch, config.epochs, step, total_steps, values, left))
            if stop or step == last_step:
                break
            if save_now and not epoch_ended:
                save("last.pt")

        names = ["last.pt"]
        if epoch_ended or step == last_step:
            if ranks.first and any(map(len, held_out)) and (epoch % config.eval_interval == 0 or step == last_step):
                batches = {own.windows.store.name: own.epoch(0) for own in held_out_loaders if len(own.windows)}
                found, chance, reported = evaluate_each(objective, model, batches, device, dtype)
                metrics.write(step - 1, **found)
            if epoch_ended and (epoch % config.save_interval == 0 or step == total_steps):
                names.append(f"epoch_{epoch:04}.pt")
        save(*names)

    if stop and step < last_step:
        log.info("stopped     by a signal, after step %d; the same command with --resume auto resumes", step)
        return 128 + max(stopped_by, default=signal.SIGTERM)
    if ranks.first and (step > first_step or not (folder / "results.json").exists()):
        result = {"command": "train", "dataset": " + ".join(config.datasets), "commit": commit()}
        result |= {"simulated": any(store.simulated for store in stores)}
        result |= {"datasets": datasets_of(training, config.dataset_weights, held_out)}
        result |= {"steps": step, "total_steps": total_steps, "windows": len(training), "held_out": reported}
        result |= {"loss": mean_loss, "retrieval": {}, objective.report: found, "chance": chance}
        result |= {"video_origin": config.video_origin, "seed": config.seed}
        write_json(folder / "results.json", result | {"config": config.model_dump(mode="json")})
    log.info("done        %s", folder / "checkpoints" / "last.pt")
    return 0


def build_loaders(
    config: TrainConfig, objective: CrossModal | Masked | Contrast, ranks: Ranks
) -> tuple[PairLoader, list[PairLoader]]:
    """Batches of this rank to train on, and of each dataset those of its held-out windows, which rank 0 evaluates."""
    training, held_out = pretraining_windows(
        [open_store(config.data_root, name) for name in config.datasets],
        objective.needs_video,
        (config.exclude_classes or [], config.exclude_subjects or []),
        config.held_out,
        config.max_held_out,
        config.seed,
        window_s=config.window_s,
        min_coverage=config.min_coverage,
    )
    settings = LoaderSettings(
        config.batch_size_per_rank(ranks.world_size),
        config.clip_len if objective.needs_video else 0,
        "none" if config.augments else config.normalize,  # then the z-score follows the augmentation
        seed=config.seed,
        num_threads=config.num_workers,
        frames_used=objective.frames_used,
        rank=ranks.rank,
        world_size=ranks.world_size,
        pin=ranks.device.type == "cuda",
        random_start=config.window_start == "random",
        speed_jitter=config.speed_jitter,
        neighbours=objective.neighbours,
        draws=config.video_draws,
        moments=config.normalize if config.augments else None,
        weights=config.dataset_weights,
    )
    alone = {"rank": 0, "world_size": 1, "batch_size": config.micro_batch_size or settings.batch_size}
    if not objective.augments_report:
        alone |= {"normalize": config.normalize, "moments": None}
    of_report = replace(settings, train=False, leave_out=True, max_unreadable=0.5, **alone)
    return PairLoader(training, settings), [PairLoader(windows, of_report) for windows in held_out]


def with_features(
    loader: PairLoader, config: TrainConfig, encoder: nn.Module, device: torch.device, dtype: torch.dtype
) -> PairLoader:
    """The loader with what the frozen video encoder makes of its frames in their place, computed once."""
    if not len(loader.windows):
        return loader
    batch_size = config.micro_batch_size or loader.settings.batch_size
    seen = {name: getattr(config, name) for name in ("frame_box", "frame_differences", "video_pooling")}
    found = cached_features(
        config.video_cache,
        features.facts_of(loader) | seen,
        encoder,
        features.draws(loader),
        lambda draw: features.in_order(loader, draw, batch_size),
        len(loader.windows),
        device,
        dtype,
        config.video_cache_gb,
    )
    return features.FeatureLoader(loader, found)


def log_plan(config: TrainConfig, data: str, loader: PairLoader, held_out: Sequence[Windows], model: nn.Module) -> None:
    """Log what the run is about to do."""
    parts = (config.imu_encoder, config.video_encoder, config.loss and f"{config.loss} loss", config.video_origin)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) / 1e6
    total = sum(p.numel() for p in model.parameters()) / 1e6
    batch = loader.settings.batch_size
    kept = sum(map(len, held_out))
    windows = f"{data}: {len(loader.windows)} windows to train on, {kept} held out"
    plan = {
        "data": "; ".join(filter(None, [windows, loader.windows.describe_too_short()])),
        "model": f"{config.model}: {', '.join(part for part in parts if part)}",
        "parameters": f"{total:.2f} M, of which {trained:.2f} M are trained",
        "batch": f"{config.batch_size} windows: {batch} on each of {config.batch_size // batch} ranks",
        "steps": f"{len(loader) * config.epochs}: {config.epochs} epochs of {len(loader)}",
    }
    for what, value in plan.items():
        log.info("%-11s %s", what, value)
    for row in datasets_of(loader.windows, config.dataset_weights, held_out) if len(held_out) > 1 else ():
        told = "%(name)s: %(windows)d windows to train on, %(windows_per_epoch)d in an epoch, %(held_out)d held out"
        log.info(f"            {told}", row)
    if config.held_out and not kept:
        log.info("            (there is only one session or recording: none can be held out, there is no report)")


if __name__ == "__main__":
    run(main, TrainConfig.program, EXPECTED)
