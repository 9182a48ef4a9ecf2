"""Every method on CUDA tensors without numbers in them, so that no card is needed.

PyTorch's ``FakeTensorMode`` knows shape, type and device of each tensor, and refuses what a card would refuse: an
operation between a tensor that is there and one that was left on the CPU. It computes nothing. Backward is not here:
autograd asks the driver for its streams. What only a card can show is in ``tests/gpu``.
"""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore

from configs.training import TrainConfig
from datasets.loader import LoaderSettings, PairLoader
from datasets.windows import list_windows
from models import build_imu_encoder, build_model, build_objective
from models.probe import embed_imu, train_linear_heads
from tests.prepared import write_dataset
from tests.training import SIZES
from utils.distributed import all_reduce_sum
from utils.optim import autocast_dtype

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

CUDA = torch.device("cuda", 0)
BATCH = 4
GRU_CAN_BE_FAKE = torch._C._dispatch_has_kernel_for_dispatch_key("aten::_thnn_fused_gru_cell", "Meta")
METHODS = [
    {},
    {"loss": "softmax"},
    {"loss": "softmax_soft"},
    {"imu_encoder": "conv_gru"},
    {"video_encoder": "clip"},
    {"model": "imu2clip", "embed_dim": 512},
    {"model": "imu2clip", "heads": "projection", "loss": "softmax_soft"},
    {"model": "imu_only"},
    {"model": "imu_contrast", "augment_noise": 0.1, "positives": ["views", "nearest"], "mask_weight": 1},
    {"imu_scaling": "std"},
    {"imu_norm": "layernorm", "imu_pooling": "both"},
    {"micro_batch_size": 3},
    {"precision": "fp16"},
    {"precision": "fp32"},
]


class Event:
    """Of a queue of work that does not exist."""

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        pass


@pytest.fixture
def card(monkeypatch):
    """The mode to compute in; what asks for the driver of a card is answered as a card of today would."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # a GRU would ask for its version
    return FakeTensorMode(allow_non_fake_inputs=True)


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    store = write_dataset(tmp_path_factory.mktemp("fake") / "d", ["a", "b"] * 3, seconds=15, frame_size=32)
    return list_windows(store, needs_video=True)


def config_of(**settings) -> TrainConfig:
    """Settings of a small model; those that this torch cannot run without a card are skipped."""
    sizes = {word.removeprefix("--"): value for word, value in zip(SIZES[::2], SIZES[1::2], strict=True)}
    config = TrainConfig(**{"dataset": "x", **sizes, **settings})
    if config.imu_encoder == "conv_gru" and not GRU_CAN_BE_FAKE:
        pytest.skip(f"torch {torch.__version__} computes a GRU on a card alone, a fake one is of no use to it")
    return config


def to_cuda(model: nn.Module) -> nn.Module:
    """As ``model.to``, which fake tensors cannot do: parameters and buffers move, other tensors stay where they are."""
    for part in model.modules():
        for name, own in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(own.detach().to(CUDA), requires_grad=own.requires_grad))
        for name, own in part.named_buffers(recurse=False):
            setattr(part, name, own.to(CUDA))
    return model


def first_batch(windows, config):
    """As train.py has it from the loader, numbers and all; read before anything is fake."""
    objective = build_objective(config)
    clip_len = config.clip_len if objective.needs_video else 0
    settings = {"num_threads": 1, "frames_used": objective.frames_used}
    return next(PairLoader(windows, LoaderSettings(BATCH, clip_len, config.normalize, **settings)).epoch(1))


def on_cuda(*tensors) -> bool:
    return all(tensor.device == CUDA for tensor in tensors)


@pytest.mark.parametrize("settings", METHODS, ids=lambda s: " ".join(map(str, s.values())) or "default")
def test_forward_and_loss(card, windows, settings):
    """As in train.py: the batch to the device, autocast, model, loss in float32."""
    config = config_of(**settings)
    batch, objective = first_batch(windows, config), build_objective(config)
    dtype = autocast_dtype(config.precision, CUDA)
    assert dtype == {"auto": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[config.precision]
    with card:
        model = to_cuda(build_model(config)).train()
        inputs = objective.inputs(batch, CUDA, 1)
        assert on_cuda(*inputs)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            assert torch.is_autocast_enabled("cuda") == (dtype != torch.float32)
            outputs = model(*inputs)
        loss, rows = objective.loss(outputs), objective.per_window(outputs)
        assert on_cuda(loss, rows, all_reduce_sum(loss), *(outputs if isinstance(outputs, tuple) else (outputs,)))
    assert loss.dtype == torch.float32 and loss.shape == () and len(rows) == BATCH


@pytest.mark.parametrize("normalize", ["recording", "dataset", "window", "none"])
def test_each_z_score(card, windows, normalize):
    config = config_of(normalize=normalize)
    batch, objective = first_batch(windows, config), build_objective(config)
    with card:
        imu, video = objective.inputs(batch, CUDA, 1)
        assert on_cuda(imu, video)
    assert (imu.shape, imu.dtype) == ((BATCH, 6, 250), torch.float32)
    assert (video.shape, video.dtype) == ((BATCH, config.clip_len, 32, 32, 3), torch.uint8)


@pytest.mark.parametrize("loss", ["sigmoid", "softmax", "softmax_soft"])
@pytest.mark.parametrize("imu_encoder", ["patchtst", "conv_gru"])
def test_as_one_of_two_ranks(card, windows, loss, imu_encoder):
    """Embeddings and batch statistics are gathered; a process group that only says who it is stands for NCCL."""
    config = config_of(imu_encoder=imu_encoder, loss=loss)
    batch, objective = first_batch(windows, config), build_objective(config)
    dist.init_process_group("fake", rank=1, world_size=2, store=FakeStore())
    try:
        with card:
            value = objective.loss(to_cuda(build_model(config)).train()(*objective.inputs(batch, CUDA, 1)))
            assert on_cuda(value, all_reduce_sum(value))
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("settings", [{}, {"video_encoder": "clip"}, {"model": "imu2clip", "embed_dim": 512}])
def test_embeddings_for_an_evaluation(card, windows, settings):
    config = config_of(**settings)
    batch, objective = first_batch(windows, config), build_objective(config)
    with card:
        model = to_cuda(build_model(config)).eval()
        imu, video = objective.inputs(batch, CUDA, 1)
        with torch.inference_mode():
            z_imu, z_video = model.embed_imu(imu), model.embed_video(video)
        assert on_cuda(z_imu, z_video, z_imu @ z_video.T)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("settings", [{}, {"imu_encoder": "conv_gru"}, {"model": "imu_only"}])
def test_linear_probe(card, windows, settings, standardize):
    imu = windows.imu(np.arange(8), "recording")
    how = {"num_classes": 2, "epochs": 2, "batch_size": 4, "lr": 1e-3, "weight_decay": 0.01}
    with card:
        encoder = to_cuda(build_imu_encoder(config_of(**settings)))
        embeddings, labels = embed_imu(encoder, torch.from_numpy(imu), batch_size=4), torch.tensor([0, 1] * 4).to(CUDA)
        sets = [torch.arange(6), torch.arange(2)]
        heads = train_linear_heads(embeddings, labels, sets, [0, 1], standardize=standardize, **how)
        assert on_cuda(embeddings, heads.weight, heads.bias, heads.logits(0, embeddings))


@pytest.mark.parametrize("settings", [{}, {"imu_encoder": "conv_gru"}])
def test_a_step_of_finetuning(card, windows, settings):
    imu = windows.imu(np.arange(4), "recording")
    with card:
        encoder = to_cuda(build_imu_encoder(config_of(**settings))).train()
        logits = to_cuda(nn.Linear(encoder.dim, 2))(encoder(torch.from_numpy(imu).to(CUDA)))
        assert on_cuda(nn.functional.cross_entropy(logits, torch.tensor([0, 1] * 2).to(CUDA)))


@pytest.mark.parametrize("side", ["imu", "video"])
def test_a_tensor_left_on_the_cpu_is_found(card, windows, side):
    config = config_of()
    batch, objective, left = first_batch(windows, config), build_objective(config), torch.ones(1, 1)
    with card:
        model = to_cuda(build_model(config))
        encoder = getattr(model, f"{side}_encoder")
        encoder.register_forward_hook(lambda module, given, features: features + left)
        inputs = objective.inputs(batch, CUDA, 1)
        with pytest.raises(RuntimeError, match="device"):
            model(*inputs)
