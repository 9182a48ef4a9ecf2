"""The few-shot benchmark: both ways end in the same heads, and the figures are there."""

import json

import pytest
import torch

from models.imu import PatchTSTEncoder
from scripts import benchmark
from scripts.benchmarks import fewshot


@pytest.fixture
def small(monkeypatch):
    for name, value in {"SHOTS": (2, 3), "DRAWS": 2, "HELD_OUT": 2, "EPOCHS": 3, "WINDOWS_PER_CLASS": 8}.items():
        monkeypatch.setattr(fewshot, name, value)
    monkeypatch.setattr(fewshot, "PatchTSTEncoder", lambda: PatchTSTEncoder(dim=8, layers=1, heads=2, ffn=16))


def test_both_ways_learn_the_same_heads(small):
    grid = fewshot.make_grid(torch.device("cpu"))
    heads, layers = fewshot.ours(grid), fewshot.authors(grid, epochs=3)
    assert len(layers) == len(heads.weight) == 4
    for layer, weight, bias in zip(layers, heads.weight, heads.bias, strict=True):
        torch.testing.assert_close(layer.weight.data, weight, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.bias.data, bias, rtol=1e-4, atol=1e-5)


def test_the_figures_are_there(small, capsys):
    benchmark.main(["fewshot", "--json", "--repeats", "1"])
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"ours_s", "authors_s", "ratio_vs_authors"}
    assert all(value > 0 for value in figures.values())
    assert figures["ratio_vs_authors"] == pytest.approx(figures["authors_s"] / figures["ours_s"])
