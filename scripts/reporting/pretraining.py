"""What a report says of pretraining: retrieval or reconstruction on held-out windows, and pictures of embeddings."""

from pathlib import Path

from scripts.reporting.document import Block, Cell, Heading, Table, Text
from scripts.reporting.runs import RETRIEVAL, Run, picture_of
from utils.tables import encoder_origin, share

WAYS = {"imu_to_video": "IMU to video", "video_to_imu": "video to IMU"}


def pretraining_section(runs: list[Run], out: Path) -> list[Block]:
    """Retrieval among held-out pairs, both ways, or the error of reconstruction, beside chance; loss curves."""
    if not runs:
        return []
    blocks: list[Block] = [Heading("Pretraining")]
    masked = [run for run in runs if "reconstruction" in run.results]
    pairs = [run for run in runs if run not in masked]
    if pairs:
        text = "Which video belongs to an IMU window, and the reverse, among held-out windows of other sessions."
        header = ["run", "dataset", "windows", "last loss", "retrieval", "among"]
        header += [cell for label in RETRIEVAL.values() for cell in (label, "chance")]
        rows = [row for run in pairs for row in _retrieval_rows(run)]
        blocks += [Text(text), Table("pretraining", "Pretraining", tuple(header), rows, labels=2)]
    if masked:
        text = (
            "IMU alone: squared error of masked patches of held-out windows, beside that of the visible patches' mean."
        )
        header = ("run", "dataset", "windows", "last loss", "held out", "masked MSE", "mean")
        rows = [_reconstruction_row(run) for run in masked]
        blocks += [Text(text), Table("pretraining_imu_only", "Pretraining, IMU alone", header, rows, labels=2)]
    return blocks + [picture_of(run, "loss.png", f"Loss, {run.folder.name}, {run.dataset}", out) for run in runs]


def _retrieval_rows(run: Run) -> list[list[Cell | str]]:
    rows = []
    for way, arrow in WAYS.items():
        r = run.results
        row: list[Cell | str] = [run.folder.name, run.dataset, str(r["windows"]), _loss(run), arrow, str(r["held_out"])]
        for name in RETRIEVAL:
            for values, key in ((r["retrieval"], f"{way}/{name}"), (r["chance"], name)):
                row.append(Cell(share(values[key]), values[key], run=run.folder) if key in values else "-")
        rows.append(row)
    return rows


def _reconstruction_row(run: Run) -> list[Cell | str]:
    r = run.results
    errors = [f"{values['masked_mse']:.3f}" if values else "-" for values in (r["reconstruction"], r["chance"])]
    return [run.folder.name, run.dataset, str(r["windows"]), _loss(run), str(r["held_out"]), *errors]


def _loss(run: Run) -> Cell:
    return Cell(f"{run.results['loss']:.3f}", run.results["loss"], run=run.folder)


def embedding_section(runs: list[Run], out: Path) -> list[Block]:
    """The pictures of scripts.embed."""
    blocks: list[Block] = [Heading("Embeddings")] if runs else []
    for run in runs:
        r = run.results
        blocks.append(
            Text(
                f"{r['windows']} windows of {run.dataset}, equally many of each class, seen by the IMU encoder alone, "
                f"{encoder_origin(r)}. Two dimensions by {r['projection']}. Trustworthiness "
                f"{r['trustworthiness']:.2f}: how far a window's {r['neighbours']} nearest in the picture are its "
                "neighbours in the embedding (1 at best, about 0.5 at random). Distances between clusters mean little."
            )
        )
        blocks.append(picture_of(run, "embedding.png", f"Embeddings of {run.dataset}, {encoder_origin(r)}", out))
    return blocks
