"""Published weights: loaded whole, or refused with a remedy; a missing network is noticed within seconds."""

import http.server
import json
import re
import socket
import threading
import time

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEModel,
)

import models
from configs.training import TrainConfig
from models.pretrained import WeightsError, weights_folder
from models.video import ClipFrameEncoder, VideoMAEEncoder

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
ABSENT = "nobody-here/no-such-weights"


def endpoint(monkeypatch, url: str) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # as the environment of a test run may say
    monkeypatch.setattr("models.pretrained._ENDPOINT", url)


def randomize(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    return model


@pytest.fixture
def published(tmp_path):
    """A VideoMAE checkpoint as they are published: with a decoder, for 16 frames of 32 pixels."""
    sizes = {"decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    config = VideoMAEConfig(image_size=32, patch_size=8, num_frames=16, decoder_intermediate_size=8, **SIZES, **sizes)
    model = randomize(VideoMAEForPreTraining(config))
    model.save_pretrained(tmp_path / "published")
    return tmp_path / "published", model.videomae.eval()


def edit(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_loads_whole_for_another_clip_length(published):
    folder, model = published
    encoder = VideoMAEEncoder.from_weights(weights_folder(str(folder)), clip_len=10, image_size=32)
    assert encoder.config["num_frames"] == 10
    mine = encoder.model.state_dict()
    theirs = model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(encoder.model.embeddings.position_embeddings, model.embeddings.position_embeddings[:, : 5 * 16])
    assert encoder(torch.zeros(1, 10, 32, 32, 3, dtype=torch.uint8)).isfinite().all()


def test_biases_under_their_published_names(published):
    """The hub's files call them q_bias and v_bias; some versions of transformers silently left them at zero."""
    folder, model = published
    edit(
        folder,
        lambda state: {
            re.sub(r"attention\.(query|value)\.bias", lambda m: f"attention.{m[1][0]}_bias", k): v
            for k, v in state.items()
        },
    )
    assert any(name.endswith("q_bias") for name in load_file(folder / "model.safetensors"))
    try:
        encoder = VideoMAEEncoder.from_weights(folder, clip_len=16, image_size=32)
    except WeightsError as error:
        assert "transformers>=5.18" in str(error)
    else:
        for mine, theirs in zip(encoder.model.encoder.layer, model.encoder.layer, strict=True):
            assert torch.equal(mine.attention.attention.query.bias, theirs.attention.attention.query.bias)
            assert torch.equal(mine.attention.attention.value.bias, theirs.attention.attention.value.bias)


def test_zero_query_biases_are_refused(published):
    folder, _ = published
    edit(folder, lambda state: {k: v * 0 if k.endswith(("query.bias", "q_bias")) else v for k, v in state.items()})
    with pytest.raises(WeightsError, match=r"query biases that are all zero.*transformers>=5\.18"):
        VideoMAEEncoder.from_weights(folder, clip_len=16, image_size=32)


def test_missing_weights_are_named(published):
    folder, _ = published
    edit(folder, lambda state: {k: v for k, v in state.items() if "layer.1.intermediate" not in k})
    with pytest.raises(WeightsError, match=r"does not hold .*layer\.1\.intermediate\.dense\.bias"):
        VideoMAEEncoder.from_weights(folder, clip_len=16, image_size=32)


def test_weights_of_another_shape_are_refused(published):
    folder, _ = published
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 32}))
    with pytest.raises(WeightsError, match="published"):
        VideoMAEEncoder.from_weights(folder, clip_len=16, image_size=32)


def test_a_truncated_file_is_refused(published):
    folder, _ = published
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"does not load.*--video_weights none"):
        VideoMAEEncoder.from_weights(folder, clip_len=16, image_size=32)


def test_half_precision_files_load_as_float32(published, tmp_path):
    folder, model = published
    VideoMAEModel.from_pretrained(folder).half().save_pretrained(tmp_path / "half")
    encoder = VideoMAEEncoder.from_weights(tmp_path / "half", clip_len=16, image_size=32)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_clip_loads_from_a_checkpoint_of_both_towers(tmp_path):
    vision = CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=12, **SIZES)
    text = CLIPTextConfig(vocab_size=20, max_position_embeddings=8, projection_dim=12, **SIZES)
    model = randomize(CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=12))).eval()
    model.save_pretrained(tmp_path / "clip")
    encoder = ClipFrameEncoder.from_weights(tmp_path / "clip", clip_len=10, image_size=16)
    assert encoder.dim == 12
    assert torch.equal(encoder.model.visual_projection.weight, model.visual_projection.weight)
    with pytest.raises(ValueError, match="image_size 224 does not fit"):
        ClipFrameEncoder.from_weights(tmp_path / "clip", clip_len=10, image_size=224)


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"has no config\.json and no model\.safetensors or pytorch_model\.bin"):
        weights_folder(str(tmp_path))
    with pytest.raises(WeightsError, match=r"there is no folder /nowhere/at/all"):
        weights_folder("/nowhere/at/all")


def refused_within(seconds: float, name: str = ABSENT) -> str:
    start = time.perf_counter()
    with pytest.raises(WeightsError) as problem:
        weights_folder(name)
    assert time.perf_counter() - start < seconds
    message = str(problem.value)
    assert "local folder" in message
    assert "--video_weights none" in message
    return message


def test_a_closed_port_is_noticed_at_once(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    endpoint(monkeypatch, f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port} cannot be reached" in refused_within(2)


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("models.pretrained._RESPONSE_WITHIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}")
        assert "cannot be reached" in refused_within(3)


def test_a_name_that_does_not_resolve_is_noticed(monkeypatch):
    endpoint(monkeypatch, "http://no-such-host.invalid")
    assert "cannot be reached" in refused_within(8)


def test_offline_mode_is_named(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused_within(1)


class _Hub(http.server.BaseHTTPRequestHandler):
    """The little of a hub that a download needs."""

    files: dict[str, bytes] = {}

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body: bool):
        data = self.files.get(self.path.rsplit("/", 1)[-1])
        self.send_response(404 if data is None else 200)
        if data is None:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{len(data)}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_Hub, "files", {})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield _Hub.files
    server.shutdown()
    server.server_close()


def test_a_download_is_done_once(hub, published, monkeypatch):
    folder, model = published
    hub["config.json"] = (folder / "config.json").read_bytes()
    hub["model.safetensors"] = (folder / "model.safetensors").read_bytes()
    fetched = weights_folder("somebody/published")
    encoder = VideoMAEEncoder.from_weights(fetched, clip_len=16, image_size=32)
    assert torch.equal(encoder.model.encoder.layer[0].output.dense.weight, model.encoder.layer[0].output.dense.weight)
    endpoint(monkeypatch, "http://no-such-host.invalid")
    assert weights_folder("somebody/published") == fetched


def test_a_repository_without_weights_is_named(hub):
    hub["config.json"] = b"{}"
    with pytest.raises(WeightsError, match=r"somebody/empty has neither model\.safetensors nor pytorch_model\.bin"):
        weights_folder("somebody/empty")


def test_an_unknown_repository_is_named(hub):
    with pytest.raises(WeightsError, match=r"somebody/unknown cannot be fetched.*--video_weights none"):
        weights_folder("somebody/unknown")


def test_other_ranks_build_from_the_architecture_alone(monkeypatch):
    """They are told it by rank 0, and neither ask the hub nor read weights."""
    sizes = {"video_dim": 16, "video_heads": 2, "video_layers": 1, "video_ffn": 16, "image_size": 32, "clip_len": 2}
    first = models.build_model(TrainConfig(dataset="x", video_weights="none", **sizes))

    def forbidden(*_, **__):
        raise AssertionError("a rank other than the first asked for weights")

    monkeypatch.setattr(models, "weights_folder", forbidden)
    monkeypatch.setattr(models, "on_first_rank", lambda work: first.video_config)
    model, video_config = models.build_on_first_rank(TrainConfig(dataset="x", **sizes))
    assert video_config == first.video_config
    shapes = [{name: value.shape for name, value in m.state_dict().items()} for m in (model, first)]
    assert shapes[0] == shapes[1]
    with pytest.raises(AssertionError, match="asked for weights"):  # as rank 0 does
        monkeypatch.setattr(models, "on_first_rank", lambda work: work())
        models.build_on_first_rank(TrainConfig(dataset="x", **sizes))
