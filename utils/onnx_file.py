"""A model as ONNX (https://onnx.ai): written, compared with PyTorch, made smaller with 8-bit integers, timed.

Needs onnx, onnxruntime and onnxscript, which no other command does.
"""

import logging
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

NEEDED = ("onnx", "onnxruntime", "onnxscript")
Inputs = dict[str, np.ndarray]


def require_onnx() -> None:
    """Raises ValueError if a package is missing, saying how to get it."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ValueError(f"ONNX needs {', '.join(missing)}, not installed: pip install {' '.join(missing)}")


def write_onnx(path: Path, module: nn.Module, inputs: Inputs, output: str, metadata: dict[str, str]) -> None:
    """Export through ``torch.export``; the first axis of the first input is any number of windows.

    Args:
        module: in eval mode; one output, its positional arguments in the order of ``inputs``.
        inputs: an example; the first holds at least two windows.
        output: name of the output.
        metadata: what readers of the file find in it.
    """
    arguments = tuple(torch.from_numpy(value) for value in inputs.values())
    shapes = ({0: torch.export.Dim("windows")}, *({} for _ in arguments[1:]))
    exporting = logging.getLogger("torch.onnx")
    level = exporting.level
    exporting.setLevel(logging.ERROR)  # it warns of what it decides for each operator
    try:
        program = torch.onnx.export(
            module,
            arguments,
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=shapes,
        )
    finally:
        exporting.setLevel(level)
    program.model.metadata_props.update(metadata)
    program.save(str(path))


def session(path: Path) -> Callable[[Inputs], np.ndarray]:
    """The model of a file on one core of the CPU: inputs by name to its output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: model.run(None, inputs)[0]


def quantize(source: Path, path: Path, how: str, batches: Sequence[Inputs]) -> None:
    """Write a model with 8-bit weights.

    Args:
        how: ``dynamic``: the ranges of activations are those of each call; ``static``: they are fixed, those of
            ``batches``.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

    class Batches(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(batches)

        def get_next(self) -> Inputs | None:
            return next(self.rest, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends steps that torch.export has taken
    try:
        if how == "dynamic":
            model = onnx.load(source)
            del model.graph.value_info[:]  # of layers that it turns round, and then finds at odds with what it infers
            quantize_dynamic(model, path, weight_type=QuantType.QInt8)
        else:
            quantize_static(source, path, Batches(), weight_type=QuantType.QInt8, per_channel=True)
    finally:
        logger.setLevel(level)


def in_torch(module: nn.Module) -> Callable[[Inputs], np.ndarray]:
    """The same call as ``session`` for a module, eager."""

    def run(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            return module(*map(torch.from_numpy, inputs.values())).numpy()

    return run


def seconds_per_call(models: Sequence[Callable[[Inputs], np.ndarray]], inputs: Inputs, repeats: int) -> list[float]:
    """Median time of one call of each model, on one core; they take turns, so that what disturbs one disturbs all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        took = np.empty((repeats, len(models)))
        for row in range(-2, repeats):  # the first two are not counted
            for column, model in enumerate(models):
                begin = time.perf_counter()
                model(inputs)
                took[row, column] = time.perf_counter() - begin
    finally:
        torch.set_num_threads(threads)
    return np.median(took, axis=0).tolist()
