"""Line charts: points where they belong, gaps where nothing is known."""

import math
import re

import numpy as np
import pytest

from scripts.reporting.svg import Box, drawing, panel, ticks, whole_numbers

BOX = Box(left=40, top=20, width=200, height=100)


def paths(markup: str) -> list[list[list[tuple[float, float]]]]:
    """For each line, its unbroken stretches of points."""
    found = []
    for d in re.findall(r' d="([^"]*)"', markup):
        stretches = [re.findall(r"([\d.-]+) ([\d.-]+)", part) for part in d.split("M")[1:]]
        found.append([[(float(a), float(b)) for a, b in stretch] for stretch in stretches])
    return found


def grid(markup: str) -> dict[str, float]:
    """Height at which each numbered line of the y axis lies."""
    return {t: float(y) for y, t in re.findall(r'y="([\d.]+)" text-anchor="end" dominant[^>]*>([^<]*)<', markup)}


def test_points_lie_where_the_axis_numbers_say():
    x, values = np.linspace(0, 5, 6), np.array([0.0, 1.0, 4.0, 2.0, -3.0, 2.5])
    markup = panel(BOX, x, {"a": values}, "title", x_label="time, s")
    [[points]] = paths(markup)
    marks = grid(markup)
    zero, two = marks["0"], marks["2"]
    assert two < zero  # upwards
    for (px, py), a, b in zip(points, x, values, strict=True):
        assert px == pytest.approx(40 + 200 * a / 5, abs=0.051)
        assert py == pytest.approx(zero + (two - zero) / 2 * b, abs=0.15)  # both are rounded to 0.1
        assert 20 <= py <= 120


def test_logarithmic_points_lie_between_their_powers_of_ten():
    x, values = np.arange(1.0, 5.0), np.array([1e-3, 0.5, 20.0, 1e-12])
    markup = panel(BOX, x, {"a": values}, "title", log_y=True)
    [[points]] = paths(markup)
    marks = grid(markup)
    decade = (marks["10⁻³"] - marks["10¹"]) / 4
    for (_, py), value in zip(points, values[:3], strict=True):  # the last lies more than 8 decades below: a gap
        assert py == pytest.approx(marks["10⁻³"] - decade * (math.log10(value) + 3), abs=0.2)
    assert len(points) == 3


def test_unknown_values_leave_a_gap():
    values = np.array([1.0, np.nan, 2.0, 3.0, np.inf, 1.0])
    [stretches] = paths(panel(BOX, np.arange(6.0), {"a": values}, "title"))
    assert [len(stretch) for stretch in stretches] == [1, 2, 1]
    assert paths(panel(BOX, np.arange(3.0), {"a": np.zeros(3)}, "title", log_y=True)) == [[]]


def test_noise_about_a_constant_does_not_fill_the_panel():
    values = 9.81 + 0.001 * np.arange(4)
    [[narrow]] = paths(panel(BOX, np.arange(4.0), {"a": values}, "t", least_span=2.0))
    [[filled]] = paths(panel(BOX, np.arange(4.0), {"a": values}, "t"))
    assert np.ptp([y for _, y in narrow]) < 1 < 80 < np.ptp([y for _, y in filled])


def test_a_constant_line_is_drawn_in_the_middle():
    [[points]] = paths(panel(BOX, np.arange(4.0), {"a": np.full(4, 9.81)}, "t"))
    assert [y for _, y in points] == [70.0] * 4


@pytest.mark.parametrize("low, high", [(0, 5), (-0.31, 0.29), (9.7, 9.9), (-1234, 77), (1e-6, 3e-6), (0, 25)])
def test_ticks_are_round_inside_and_few(low, high):
    values = ticks(low, high)
    assert 2 <= len(values) <= 6
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in values)
    steps = np.diff(values)
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-6


def test_a_logarithmic_axis_names_powers_inside_only():
    assert whole_numbers(-2.5, 1.2) == [-2, -1, 0, 1]
    assert grid(panel(BOX, np.arange(2.0), {"a": np.array([2.0, 3.0])}, "t", log_y=True)).keys() <= {"10⁰", "10¹"}


def test_names_are_text_and_lines_are_at_most_three():
    markup = drawing(300, 150, "<b>", panel(BOX, np.arange(2.0), {"<script>": np.ones(2)}, "<i>"))
    assert "<script>" not in markup and "<b>" not in markup and "<i>" not in markup
    with pytest.raises(ValueError, match="up to 3 lines, not 4"):
        panel(BOX, np.arange(2.0), dict.fromkeys("abcd", np.ones(2)), "t")
