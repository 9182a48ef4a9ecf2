"""Settings that change memory and speed, never what is computed."""

import pytest
import torch
from torch import nn

from models import build_model
from models.compiling import compile_encoders
from models.dual_encoder import DualEncoder
from models.losses import contrastive_loss
from tests.models.test_dual_encoder import ToyVideo, config_of
from tests.models.test_dual_encoder import pairs as float_pairs

PAIRS = 7  # in pieces of 3: the last one is smaller


def pairs():
    imu, video = float_pairs(PAIRS)
    return imu.double(), video


def model_of(dropout: float, **settings):
    torch.manual_seed(0)
    rates = {"imu_dropout": dropout, "head_dropout": dropout, "video_layers": 2}
    model = build_model(config_of(**(rates | settings))).double().train()
    for part in model.video_encoder.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
        if hasattr(part, "dropout_prob"):  # of VideoMAE's attention
            part.dropout_prob = dropout
    return model


def learnt(model, loss: str = "sigmoid"):
    """Loss, gradients and buffers of a step; and the random state that it leaves."""
    torch.manual_seed(5)
    value = contrastive_loss(loss, *model(*pairs()))
    value.backward()
    found = {"loss": value.detach(), "next draw": torch.rand(4)}
    found |= {f"gradient {name}": p.grad for name, p in model.named_parameters() if p.requires_grad}
    return found | {f"buffer {name}": b for name, b in model.named_buffers()}


def assert_equal(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name in expected:
        scale = expected[name].abs().max().clamp(min=1e-6)
        assert ((found[name] - expected[name]).abs().max() / scale) < tolerance, name


def in_pieces_with_graph(model, size: int) -> None:
    """The slow reference: the same pieces, nothing forgotten and computed again."""
    encode = model.video_encoder.forward
    model.video_encoder.forward = lambda video, _: torch.cat([encode(piece) for piece in video.split(size)])


@pytest.mark.parametrize("loss", ["sigmoid", "softmax", "softmax_soft"])
@pytest.mark.parametrize("video", ["videomae", "clip"])
def test_pieces_give_the_gradient_of_the_whole_batch(loss, video):
    parts = {"loss": loss, "video_encoder": video}
    assert_equal(learnt(model_of(0.0, micro_batch_size=3, **parts), loss), learnt(model_of(0.0, **parts), loss))


@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
def test_pieces_are_computed_again_with_the_same_dropout(norm):
    reference = model_of(0.3, imu_norm=norm)
    in_pieces_with_graph(reference, 3)
    expected = learnt(reference)
    assert_equal(learnt(model_of(0.3, imu_norm=norm, micro_batch_size=3)), expected)
    assert not torch.equal(expected["loss"], learnt(model_of(0.0, imu_norm=norm))["loss"])  # dropout was on


def kept_bytes(**settings) -> int:
    """Bytes that wait for backward once forward is done."""
    sizes = {"video_dim": 64, "video_ffn": 256, "video_layers": 4}  # so that layers outweigh what they are given
    model, kept = model_of(0.1, **(sizes | settings)), {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    video = pairs()[1].repeat(8, 1, 1, 1, 1)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.embed_video(video)
    return sum(size for place, size in kept.items() if place not in weights)


def test_memory_follows_the_piece():
    whole = kept_bytes()
    assert kept_bytes(micro_batch_size=3) < 0.05 * whole
    sizes = []
    model = model_of(0.0, micro_batch_size=3)
    model.video_encoder.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
    contrastive_loss("sigmoid", *model(*pairs())).backward()
    assert sizes == [3, 3, 1, 1, 3, 3]  # forward, then each once more, the last first


def test_nothing_is_computed_twice_where_nothing_learns():
    sizes = []
    model = model_of(0.0, micro_batch_size=3)
    model.freeze_video = True
    model.video_encoder.requires_grad_(False)
    model.video_encoder.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
    contrastive_loss("sigmoid", *model(*pairs())).backward()
    assert sizes == [3, 3, 1]
    model.eval().embed_video(pairs()[1])
    assert sizes[3:] == [7]


def test_pieces_of_a_batch_normalisation_are_refused():
    head = nn.Linear(5, 6)
    with pytest.raises(ValueError, match="micro_batch_size 3: this video encoder normalises over the batch"):
        DualEncoder(nn.Linear(4, 6), ToyVideo(), head, head, micro_batch=3)


def test_pieces_of_no_video_are_refused():
    with pytest.raises(ValueError, match="imu_only has none"):
        config_of(model="imu_only", micro_batch_size=2)


def graphs() -> int:
    """Pieces of code that torch.compile has compiled so far."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"imu_encoder": "conv_gru"},
        {"video_encoder": "clip"},
        {"micro_batch_size": 3},
    ],
)
def test_compiled_encoders_are_the_same(settings):
    """All that torch.compile does but its kernels; parameters keep their names, so that a checkpoint fits both ways."""
    expected = learnt(model_of(0.0, **settings))
    torch._dynamo.reset()
    before = graphs()
    model = model_of(0.0, **settings)
    names = list(model.state_dict())
    compile_encoders(model, backend="aot_eager")
    assert_equal(learnt(model), expected)
    assert list(model.state_dict()) == names
    assert graphs() > before + 1  # of each encoder
