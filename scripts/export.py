"""Write an encoder or a classifier for other programs: the encoder's weights alone, or the whole model as ONNX.

    python -m scripts.export --checkpoint runs/NAME/checkpoints/last.pt --out encoder.safetensors
    python -m scripts.export --checkpoint my_classifier --onnx --out classifier.onnx

A ``.safetensors`` holds the weights of the IMU encoder, the settings that rebuild it and what it was trained on, and no
video weights: ``downstream.py --checkpoint encoder.safetensors`` gives the predictions of the whole checkpoint.

With ``--onnx`` raw windows go in, in m/s² and rad/s at 50 Hz, any number at a time: the z-score is part of the model.
Of a classifier's folder probabilities come out, of an encoder embeddings. The command compares the file with PyTorch
before it gives it its name. ``--int8`` writes 8-bit weights and says what that costs on windows of a prepared dataset.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from configs.constants import CHANNELS, IMU_RATE_HZ
from configs.evaluation import ExportConfig
from configs.load import parse
from datasets.store import open_store
from datasets.windows import list_windows
from models import load_classifier, load_imu_encoder
from models.classifier import CONFIG, WEIGHTS, model_path, z_score
from utils import onnx_file
from utils.atomic_io import replacing, sha256_of
from utils.encoder_file import read_encoder, save_encoder
from utils.onnx_file import Inputs

TOLERANCE = 1e-5  # of ONNX against PyTorch, relative to the largest value if that is above 1
CHECK_WINDOWS = 64
CALIBRATION_WINDOWS = 512


class Graph(nn.Module):
    """What is exported: raw windows (n, 6, T) to probabilities (n, K), or to embeddings (n, D).

    Args:
        encoder: of z-scored windows.
        normalize: unit of the z-score, as ``models.classifier.z_score`` takes it.
        classifier: gives probabilities; None: embeddings.
    """

    def __init__(self, encoder: nn.Module, normalize: str, classifier: nn.Module | None = None):
        super().__init__()
        self.encoder, self.normalize, self.classifier = encoder, normalize, classifier
        own = classifier is not None and normalize == "dataset"  # whose moments are among its weights
        self.takes_moments = normalize in ("recording", "dataset") and not own
        self.output = "embeddings" if classifier is None else "probabilities"

    def forward(self, imu: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        if self.classifier is not None:
            return self.classifier(imu, mean, std).softmax(1)
        return self.encoder(z_score(imu, self.normalize, mean, std))


def main(argv: list[str] | None = None) -> Path:
    """Write the file; returns its path."""
    config = parse(ExportConfig, argv)
    if config.onnx:
        export_onnx(config)
    else:
        export_weights(config)
    return config.out


def export_weights(config: ExportConfig) -> None:
    """The IMU encoder of a checkpoint as safetensors."""
    encoder, _ = load_imu_encoder(config.checkpoint)  # refuses weights that do not fit their own settings
    _, facts = read_encoder(config.checkpoint)
    facts["exported_from"] = sha256_of(config.checkpoint)
    save_encoder(config.out, encoder.state_dict(), facts)
    size = sum(p.numel() for p in encoder.parameters())
    print(
        f"{config.out}: {size:,} parameters, {config.out.stat().st_size / 1e6:.1f} MB; {encoder.dim} values per window"
    )


def export_onnx(config: ExportConfig) -> None:
    """The model as ONNX, compared with PyTorch before the file gets its name.

    Raises:
        ValueError: if a package is missing, or the file's values are not those of PyTorch.
    """
    onnx_file.require_onnx()
    graph, metadata, window_s = read_model(config.checkpoint)
    samples = round(window_s * IMU_RATE_HZ)
    inputs = of_dataset(config, window_s) if config.dataset else made_up(CHECK_WINDOWS, samples)
    inputs = inputs if graph.takes_moments else {"imu": inputs["imu"]}
    few = first(inputs, CHECK_WINDOWS)
    torch_model = onnx_file.in_torch(graph)
    with tempfile.TemporaryDirectory() as folder, replacing(config.out) as unfinished:
        exact = Path(folder) / "float32.onnx"
        onnx_file.write_onnx(exact, graph, first(inputs, 2), graph.output, metadata)
        model = onnx_file.session(exact)
        apart = max(compare(model, torch_model, first(few, count)) for count in (1, 2, len(few["imu"])))
        print(
            f"ONNX agrees with PyTorch on {len(few['imu'])} windows: differs by {apart:.2g} at most ({TOLERANCE:g} may)"
        )
        written, models = exact, [torch_model, model]
        if config.int8 is not None:
            written = Path(folder) / "int8.onnx"
            onnx_file.quantize(exact, written, config.int8, batches(first(inputs, CALIBRATION_WINDOWS)))
            models.append(onnx_file.session(written))
            print(cost(models[2], model, inputs, exact, written))
        unfinished.write_bytes(written.read_bytes())
        print(speed(models, few))
    print(f"{config.out}: {config.out.stat().st_size / 1e6:.2f} MB; {describe(graph, inputs)}")


def read_model(path: Path) -> tuple[Graph, dict[str, str], float]:
    """What is exported of a classifier or a checkpoint, what the file says of it, and its window, seconds."""
    path = model_path(path)
    if path.is_dir():
        classifier = load_classifier(path)
        facts = classifier.facts
        graph = Graph(classifier.encoder, facts.normalize, classifier)
        window_s, simulated, digest = facts.window_s, facts.simulated, sha256_of(path / WEIGHTS)
        own = {"classes": json.dumps(facts.classes), "config": (path / CONFIG).read_text(encoding="utf-8")}
    else:
        encoder, training = load_imu_encoder(path)
        facts = read_encoder(path)[1]
        graph = Graph(encoder, training.normalize)
        window_s, simulated, digest = training.window_s, facts["dataset"]["simulated"], sha256_of(path)
        own = {"config": json.dumps(facts["config"])}
    metadata = {
        "window_s": f"{window_s:g}",
        "rate_hz": str(IMU_RATE_HZ),
        "channels": json.dumps(CHANNELS),
        "units": "m/s2, rad/s",
        "normalize": graph.normalize,
        "simulated": json.dumps(simulated),
        "exported_from": digest,
    }
    return graph.eval(), metadata | own, window_s


def of_dataset(config: ExportConfig, window_s: float) -> Inputs:
    """Raw windows of a prepared dataset, drawn at random, and its moments."""
    store = open_store(config.data_root, config.dataset)
    windows = list_windows(store, labelled=False, window_s=window_s)
    most = min(len(windows), 4 * CALIBRATION_WINDOWS)
    chosen = np.sort(np.random.default_rng(0).choice(len(windows), most, replace=False))
    mean, std = (np.asarray(values, dtype=np.float32) for values in store.dataset_moments)
    return {"imu": windows.imu(chosen, "none"), "mean": mean, "std": std}


def made_up(count: int, samples: int) -> Inputs:
    """Noise around gravity, where there is no dataset: enough to compare two computations of the same."""
    rng = np.random.default_rng(0)
    mean, std = np.array([0, 0, 9.81, 0, 0, 0]), np.array([3, 3, 3, 1.5, 1.5, 1.5])
    imu = mean[:, None] + std[:, None] * rng.standard_normal((count, len(CHANNELS), samples))
    return {name: value.astype(np.float32) for name, value in (("imu", imu), ("mean", mean), ("std", std))}


def first(inputs: Inputs, count: int) -> Inputs:
    """The first windows, and the moments."""
    return inputs | {"imu": inputs["imu"][:count]}


def batches(inputs: Inputs) -> list[Inputs]:
    """The windows, 32 at a time."""
    return [inputs | {"imu": inputs["imu"][k : k + 32]} for k in range(0, len(inputs["imu"]), 32)]


def compare(model, torch_model, inputs: Inputs) -> float:
    """Largest difference of two models; ValueError if it is more than that of float32."""
    expected = torch_model(inputs)
    apart = float(np.abs(model(inputs) - expected).max())
    if not apart <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ValueError(
            f"ONNX and PyTorch differ by {apart:.2g} on {len(inputs['imu'])} windows, more than {TOLERANCE:g}: nothing "
            "was written; try other versions of torch, onnxscript and onnxruntime"
        )
    return apart


def cost(model, exact_model, inputs: Inputs, exact: Path, small: Path) -> str:
    """What 8-bit weights cost, in words."""
    parts = [(model(batch), exact_model(batch)) for batch in batches(inputs)]
    ours, exacts = (np.concatenate(values) for values in zip(*parts, strict=True))
    apart = np.abs(ours - exacts).max()
    sizes = f"{exact.stat().st_size / 1e6:.2f} to {small.stat().st_size / 1e6:.2f} MB"
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(exacts, axis=1)
    cosine = ((ours * exacts).sum(1) / np.maximum(lengths, 1e-12)).min()
    same = np.mean(ours.argmax(1) == exacts.argmax(1))
    return (
        f"int8, on {len(ours)} windows: differs by {apart:.2g} at most, least cosine {cosine:.4f}, same largest value "
        f"in {100 * same:.1f} %; {sizes}"
    )


def speed(models: list, inputs: Inputs) -> str:
    """Time per window of each model on one core, one at a time and many, in words."""
    lines = []
    for count in (1, len(inputs["imu"])):
        seconds = onnx_file.seconds_per_call(models, first(inputs, count), repeats=20)
        named = zip(("PyTorch", "ONNX", "int8"), seconds, strict=False)
        times = ", ".join(f"{name} {1000 * s / count:.3g}" for name, s in named)
        faster = ", ".join(f"{seconds[0] / s:.1f}" for s in seconds[1:])
        lines.append(f"ms per window on one core, {count} at a time: {times} ({faster} times faster than PyTorch)")
    return "\n".join(lines)


def describe(graph: Graph, inputs: Inputs) -> str:
    """Inputs and output, in words."""
    shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape[name == 'imu' :]))}" for name, value in inputs.items())
    return f"any number of windows; in: {shapes}; out: {graph.output}"


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{ExportConfig.program}: {problem}")
