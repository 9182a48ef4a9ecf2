"""Choosing a device, and one process standing for all. What several ranks do is in tests/test_two_ranks.py."""

import pytest
import torch

from utils import distributed


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that there are this many GPUs."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)

    monkeypatch.delenv("RANK", raising=False)
    return pretend


@pytest.mark.parametrize(
    "asked, count, expected",
    [
        ("auto", 0, "cpu"),
        ("cpu", 4, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_the_device_of_a_single_process(gpus, asked, count, expected):
    gpus(count)
    ranks = distributed.setup(asked)
    assert (ranks.rank, ranks.world_size, ranks.first) == (0, 1, True)
    assert str(ranks.device) == expected


@pytest.mark.parametrize(
    "asked, count, words",
    [
        ("cuda", 0, "sees no CUDA device"),
        ("cuda:2", 2, "no GPU 2, this machine has 2"),
        ("mps", 0, "must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_impossible_devices_are_named(gpus, asked, count, words):
    gpus(count)
    with pytest.raises(ValueError, match=words):
        distributed.setup(asked)


def test_more_ranks_than_gpus_are_refused_before_they_meet(gpus, monkeypatch):
    gpus(1)
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="no GPU 1, this machine has 1"):
        distributed.setup("auto")


@pytest.mark.parametrize("name", distributed.LOCAL_RANKS)
def test_each_launcher_says_the_local_rank(gpus, monkeypatch, name):
    gpus(1)
    for other in distributed.LOCAL_RANKS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("RANK", "5")
    with pytest.raises(ValueError, match=rf"RANK is set, and none of LOCAL_RANK,.*{name}"):
        distributed.setup("auto")
    monkeypatch.setenv(name, "1")
    with pytest.raises(ValueError, match="no GPU 1"):
        distributed.setup("auto")


@pytest.mark.parametrize(
    "cores, ranks, expected",
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({9, 3, 4, 7, 5}, 2, [{3, 4}, {5, 7, 9}]),  # what torchrun was allowed to use
        ({2, 3}, 1, [{2, 3}]),
        ({0, 1}, 3, [{0, 1}] * 3),
    ],
)
def test_ranks_share_the_cores_out(cores, ranks, expected):
    assert [distributed.own_cores(cores, rank, ranks) for rank in range(ranks)] == expected


def test_one_process_stands_for_all():
    rows = torch.ones(2, 3, requires_grad=True)
    assert distributed.gather(rows) is rows
    assert distributed.gather_objects("a") == ["a"]
    assert distributed.all_reduce_sum(rows.sum()).item() == 6
    assert not distributed.all_reduce_sum(rows).requires_grad
    assert distributed.on_first_rank(lambda: 5) == 5
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    distributed.teardown()


def test_ranks_started_again_do_not_wait_for_dead_ones(gpus, monkeypatch):
    gpus(0)
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    joined = []
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: joined.append(1))
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    for restarts, shared in (("0", "True"), ("1", "False")):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", restarts)
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", shared)
        assert distributed.setup("cpu").world_size == 2
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.raises(ValueError, match="set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 where torchrun is started"):
        distributed.setup("cpu")
    assert len(joined) == 2


@pytest.mark.parametrize("name", ["SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"])
def test_tasks_without_ranks_are_refused_by_name(monkeypatch, name):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv(name, "1")
    distributed.refuse_tasks_without_ranks()
    monkeypatch.setenv(name, "4")
    with pytest.raises(ValueError, match=f"{name} is 4 .*RANK"):
        distributed.refuse_tasks_without_ranks()
    monkeypatch.setenv("RANK", "0")
    distributed.refuse_tasks_without_ranks()
