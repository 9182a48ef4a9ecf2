"""The paper's numbers, held against what its text says of them and against each other."""

import pytest

from configs import paper
from configs.paper import FEW_SHOT_LABELS, paper_results

MODES, ROLES = ("lp", "finetune"), ("MMEA", "PD")


def few_shot(pretraining, approach, mode, role, shots):
    return 100 * paper_results().few_shot[pretraining, approach, mode, role, shots][0]


def test_tables_are_complete():
    results = paper_results()
    cells = [(p, a, m, r, n) for p in ("Ego4D", "MMEA") for a in ("imu_only", "imu2clip", "ours") for m in MODES
             for r in ROLES for n in FEW_SHOT_LABELS]  # fmt: skip
    assert set(results.few_shot) == set(cells)
    assert len(results.zero_shot) == 2 * 3 * 5 and len(results.ablations) == 5 * 4
    assert list(results.datasets) == ["Ego4D", "MMEA", "PD"]
    for mean, std in [*results.few_shot.values(), *results.zero_shot.values(), *results.ablations.values()]:
        assert 0.05 < mean < 1 and 0 < std < 0.1


def test_section_5_1_unimodal_against_cross_modal():
    assert min(few_shot("Ego4D", "ours", mode, "MMEA", 10) for mode in MODES) > 90
    assert max(few_shot("Ego4D", "imu_only", mode, "MMEA", 10) for mode in MODES) == pytest.approx(68.83)
    gains = [few_shot("MMEA", "ours", m, "PD", 10) - few_shot("MMEA", "imu_only", m, "PD", 10) for m in MODES]
    assert gains == pytest.approx([17, 15], abs=1)


def test_section_5_2_against_imu2clip():
    zero_shot = paper_results().zero_shot
    pairs = [("Ego4D", "PD"), ("Ego4D", "MMEA"), ("MMEA", "MMEA")]
    gains = [
        100 * (zero_shot[p, "ours", r, "balanced_accuracy"][0] - zero_shot[p, "imu2clip", r, "balanced_accuracy"][0])
        for p, r in pairs
    ]
    assert gains == pytest.approx([5, 12, 11], abs=1)
    assert few_shot("Ego4D", "imu2clip", "finetune", "MMEA", 100) == pytest.approx(48.80)
    assert few_shot("Ego4D", "ours", "finetune", "MMEA", 100) == pytest.approx(97.81)
    assert few_shot("Ego4D", "ours", "finetune", "PD", 100) - few_shot("Ego4D", "imu2clip", "finetune", "PD", 100) > 33


def test_section_5_4_gains_of_each_part():
    ablations = paper_results().ablations
    for part, gains in {
        "clip": {"MMEA": (36.5, 41), "PD": (22, 24.5)},
        "conv_gru": {"MMEA": (21, 25.5), "PD": (11, 13)},
        "softmax": {"MMEA": (6, 7), "PD": (4, 5.5)},
    }.items():
        for role, (low, high) in gains.items():
            for mode in MODES:
                gain = 100 * (ablations["ours", mode, role][0] - ablations[part, mode, role][0])
                assert low <= gain <= high, (part, role, mode)


def test_tables_3_and_5_agree_where_they_overlap():
    results = paper_results()
    for approach in ("ours", "imu2clip"):
        for mode in MODES:
            for role in ROLES:
                assert results.ablations[approach, mode, role] == results.few_shot["Ego4D", approach, mode, role, 100]


def test_a_row_of_another_length_is_named(tmp_path, monkeypatch):
    text = paper.FILE.read_text(encoding="utf-8").replace("[[59.42, 1.74], ", "[")
    monkeypatch.setattr(paper, "FILE", tmp_path / "paper.yaml")
    paper.FILE.write_text(text, encoding="utf-8")
    paper_results.cache_clear()
    with pytest.raises(ValueError, match="few_shot Ego4D imu_only 10 has 3 values for the 4 columns"):
        paper_results()
    paper_results.cache_clear()
