"""Whether and from where a run resumes."""

import pytest
import torch

from utils.checkpoint import CheckpointError, save
from utils.resume import choose_checkpoint, random_state, restore_random_state

CPU = torch.device("cpu")


def test_a_fresh_folder_begins_anew(tmp_path):
    assert choose_checkpoint("none", tmp_path) is None
    assert choose_checkpoint("auto", tmp_path / "absent") is None
    assert str(choose_checkpoint("some/file.pt", tmp_path)) == "some/file.pt"


def test_a_folder_with_checkpoints(tmp_path):
    save(tmp_path / "last.pt", {"kind": "pretrain"})
    assert choose_checkpoint("auto", tmp_path) == tmp_path / "last.pt"
    for resume in ("none", "some/file.pt", str(tmp_path / "last.pt")):  # the run would write over its checkpoints
        with pytest.raises(CheckpointError, match="--resume auto, or choose another --run_name"):
            choose_checkpoint(resume, tmp_path)
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint there is whole: remove the folder"):
        choose_checkpoint("auto", tmp_path)


def test_randomness_goes_on_where_it_was():
    torch.rand(3)
    state = random_state(CPU)
    expected = torch.rand(5)
    torch.manual_seed(99)
    restore_random_state([state], 0, 1, 7, CPU)
    assert torch.equal(torch.rand(5), expected)


def test_more_ranks_draw_anew_each_its_own(caplog):
    drawn = []
    for rank in (0, 1, 0):
        restore_random_state([random_state(CPU)], rank, 2, 7, CPU)
        drawn.append(torch.rand(5))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    assert "of 1 ranks, now there are 2" in caplog.text
