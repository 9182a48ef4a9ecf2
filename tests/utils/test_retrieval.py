"""Held-out retrieval with a model whose right answer is known."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from utils.retrieval import describe_retrieval, held_out_retrieval

CPU, FLOAT = torch.device("cpu"), torch.float32


@dataclass
class Pairs:
    imu: torch.Tensor
    video: torch.Tensor

    def to(self, device):
        return self.imu, self.video


class Oracle:
    """Window k is the k-th axis; videos are what the test says."""

    training = True

    def eval(self):
        self.training = False

    def embed_imu(self, imu):
        assert not torch.is_grad_enabled()
        return F.one_hot(imu, 10).float()

    embed_video = embed_imu


def retrieval(videos: list[int], sizes=(4, 4, 2)) -> tuple[dict[str, float], dict[str, float]]:
    imu, video = torch.arange(10), torch.tensor(videos)
    model = Oracle()
    batches = map(Pairs, imu.split(list(sizes)), video.split(list(sizes)))
    found, chance, count = held_out_retrieval(model, batches, CPU, FLOAT)
    assert model.training is False and count == 10
    return found, chance


def test_the_right_video_first_also_in_a_last_partial_batch():
    assert set(retrieval(list(range(10)))[0].values()) == {1.0}
    assert retrieval(list(range(10)), (3, 3, 3, 1)) == retrieval(list(range(10)), (10,))


def test_one_wrong_pair_counts_as_such():
    found, _ = retrieval([1, 0, *range(2, 10)])  # two are swapped: their own videos tie with 8 others at 0
    assert found["imu_to_video/r@1"] == pytest.approx(0.8)
    assert found["video_to_imu/r@1"] == pytest.approx(0.8)


def test_both_ways_differ():
    found, _ = retrieval([0] * 10)  # every video is that of window 0
    assert found["imu_to_video/r@1"] == pytest.approx(0.1)  # ten videos tie, for each window
    assert found["video_to_imu/r@1"] == pytest.approx(0.1)  # all videos find window 0
    assert found["video_to_imu/mrr"] < found["imu_to_video/mrr"]


def test_the_line_holds_chance_beside_each():
    found, chance = retrieval(list(range(10)))
    assert chance["r@1"] == pytest.approx(0.1)
    line = describe_retrieval(found, chance, 10)
    assert "IMU->video  MRR 1.000  R@1 1.000  R@5 1.000" in line
    assert "chance  MRR 0.293  R@1 0.100  R@5 0.500" in line
