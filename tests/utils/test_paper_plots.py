"""Figures in the paper's form show the numbers that they are given."""

import numpy as np
import pytest

from utils import paper_plots
from utils.paper_plots import Line, PairedWindow, Panel


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they are saved."""
    figures = []
    save = paper_plots.save_figure

    def keep(figure, png, title, pdf=False):
        save(figure, png, title, pdf)
        figures.append(figure)

    monkeypatch.setattr(paper_plots, "save_figure", keep)
    return figures


def test_shots_panels(tmp_path, drawn):
    ours = {100: (0.9, 0.01), 10: (0.7, None)}
    lines = [Line("ours, probing", "ours", ours), Line("ours, tuned", "ours", {10: (0.6, 0.1)}, dashed=True)]
    panels = [Panel("A → B", lines, 0.2), Panel("A → C", lines[:1], 0.5), Panel("D → B", lines[1:], 0.25)]
    paper_plots.shots_panels(panels, tmp_path / "x.png", "simulated")
    first, second, third, empty = drawn[0].axes
    points = [line.get_xydata().tolist() for line in first.lines]
    assert [[10, 70], [100, 90]] in points and [[10, 60]] in points
    assert [[0, 20], [1, 20]] in points  # chance
    assert [axes.get_title() for axes in (first, second, third)] == ["A → B", "A → C", "D → B"]
    (bars,) = second.containers
    assert bars.has_yerr and [s.tolist() for s in bars[2][0].get_segments()] == [
        [[10, 70], [10, 70]],
        [[100, 89], [100, 91]],
    ]
    probing, tuned = (container[0] for container in first.containers)
    assert probing.get_color() == tuned.get_color() and (probing.get_linestyle(), tuned.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["ours, probing", "ours, tuned", "chance"]
    assert not empty.axison and drawn[0].get_suptitle() == "simulated"
    assert (tmp_path / "x.png").stat().st_size > 1000 and (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_paired_windows(tmp_path, drawn):
    frames = np.stack([np.full((8, 8, 3), 20 * k, dtype=np.uint8) for k in range(10)])
    imu = np.arange(6 * 250, dtype=float).reshape(6, 250)
    windows = [PairedWindow("walking", frames, imu), PairedWindow("downstairs", frames[::-1], -imu)]
    paper_plots.paired_windows(windows, 50, tmp_path / "x.png", "title")
    grid = np.array(drawn[0].axes).reshape(3, 2)
    assert [axes.get_title() for axes in grid[0]] == ["walking", "downstairs"]
    strip = grid[0, 0].images[0].get_array()
    assert strip.shape == (8, 80, 3) and [int(strip[0, 8 * k, 0]) for k in range(10)] == [20 * k for k in range(10)]
    for row, channels in ((1, imu[:3]), (2, imu[3:])):
        for line, values in zip(grid[row, 0].lines, channels, strict=True):
            assert line.get_xdata()[-1] == pytest.approx(4.98) and (line.get_ydata() == values).all()
    assert "m/s²" in grid[1, 0].get_ylabel() and "rad/s" in grid[2, 1].get_ylabel()


def test_embedding_map_names_each_class_once(tmp_path, drawn):
    points = np.random.default_rng(0).standard_normal((12, 2))
    labels = ["walk", "sit", "fall"] * 2 + ["walk", "turn"] * 3
    datasets = ["one"] * 6 + ["two"] * 6
    paper_plots.embedding_map(points, labels, datasets, ("a", "b"), tmp_path / "x.png", "t")
    by_class, by_dataset = drawn[0].axes
    assert [text.get_text() for text in by_class.get_legend().get_texts()] == ["walk", "sit", "fall", "turn"]
    assert [text.get_text() for text in by_dataset.get_legend().get_texts()] == ["one", "two"]
    shown = np.concatenate([collection.get_offsets() for collection in by_class.collections])
    assert np.allclose(sorted(map(tuple, shown)), sorted(map(tuple, points)))
    one, two = by_dataset.collections
    assert np.allclose(one.get_offsets(), points[:6]) and np.allclose(two.get_offsets(), points[6:])
    walks = [
        c.get_facecolor()[0].tolist()
        for c in by_class.collections
        if any((points[0] == o).all() or (points[6] == o).all() for o in c.get_offsets())
    ]
    assert len(walks) == 2 and walks[0] == walks[1]  # the same class of two datasets has one colour
