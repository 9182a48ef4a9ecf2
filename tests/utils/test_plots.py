"""Figures show what they are given: drawn figures are inspected, not only written."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from utils import plots


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they are saved."""
    figures = []
    save = plots.save_figure

    def keep(figure, png, title, pdf=False):
        save(figure, png, title, pdf)
        figures.append(figure)

    monkeypatch.setattr(plots, "save_figure", keep)
    return figures


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_loss_curve_draws_loss_and_retrieval(tmp_path, drawn):
    csv = tmp_path / "metrics.csv"
    csv.write_text("step,name,value\n0,loss,9.5\n10,loss,3.25\n10,lr,0.1\n10,held_out/imu_to_video/r@1,0.5\n")
    plots.loss_curve(csv, tmp_path / "loss.png", "simulated")
    left, right = drawn[0].axes
    assert lines(left) == {"loss": [[0, 9.5], [10, 3.25]]}
    assert lines(right) == {"held_out/imu_to_video/r@1": [[10, 0.5]]}
    assert drawn[0].get_suptitle() == "simulated"
    assert np.ptp(imread(tmp_path / "loss.png")[..., :3]) > 0.5


def test_confusion_matrix_shows_row_percent(tmp_path, drawn):
    confusion = np.array([[3, 1, 0], [0, 0, 0], [10, 0, 10]])
    plots.confusion_matrix(confusion, ["walking", "fall", "standing"], tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    shown = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert shown == {(0, 0): "75", (0, 1): "25", (2, 0): "50", (2, 2): "50"}
    assert [t.get_text() for t in axes.get_yticklabels()] == ["walking (4)", "fall (0)", "standing (20)"]
    assert np.isnan(axes.images[0].get_array().filled(np.nan)[1]).all()
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_calibration_is_drawn_with_empty_bins_left_out(tmp_path, drawn):
    before = {"windows": [1, 0, 3], "confidence": [0.2, None, 0.9], "accuracy": [0.0, None, 0.5]}
    after = {"windows": [0, 4, 0], "confidence": [None, 0.55, None], "accuracy": [None, 0.5, None]}
    plots.reliability_diagram(before, after, tmp_path / "reliability.png", "simulated")
    found = lines(drawn[0].axes[0])
    assert found["as trained"] == [[0.2, 0.0], [0.9, 0.5]] and found["with temperature"] == [[0.55, 0.5]]
    plots.coverage_curve([0.5, 1.0], [0.9, 0.75], 0.8, tmp_path / "coverage.png", "simulated")
    assert [[50, 90], [100, 75]] in lines(drawn[1].axes[0]).values()
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("reliability.png", "coverage.png"))


def points(panel, line, approach, values, chance, dashed=False):
    """Rows of the long table, with the panel and line that they are points of."""
    rows = [(panel, line, approach, dashed, shots, mean, std, chance) for shots, (mean, std) in values.items()]
    columns = ["panel", "line", "approach", "dashed", "shots", "value", "std", "chance"]
    return pd.DataFrame(rows, columns=columns).astype({"std": float})


def test_shots_panels(tmp_path, drawn):
    ours = {100: (0.9, 0.01), 10: (0.7, None)}
    tuned = {10: (0.6, 0.1)}
    rows = [
        points("A → B", "ours, probing", "ours", ours, 0.2),
        points("A → B", "ours, tuned", "ours", tuned, 0.2, dashed=True),
        points("A → C", "ours, probing", "ours", ours, 0.5),
        points("D → B", "ours, tuned", "ours", tuned, 0.25, dashed=True),
    ]
    plots.shots_panels(pd.concat(rows), tmp_path / "x.png", "simulated")
    first, second, third, empty = drawn[0].axes
    shown = [line.get_xydata().tolist() for line in first.lines]
    assert [[10, 70], [100, 90]] in shown and [[10, 60]] in shown
    assert lines(first)["chance"] == [[0, 20], [1, 20]]
    assert [t.get_text() for t in first.get_xticklabels()] == ["10", "100"]
    assert [axes.get_title() for axes in (first, second, third)] == ["A → B", "A → C", "D → B"]
    (bars,) = second.containers
    assert bars.has_yerr and [s.tolist() for s in bars[2][0].get_segments()] == [
        [[10, 70], [10, 70]],
        [[100, 89], [100, 91]],
    ]
    probing, dashed = (container[0] for container in first.containers)
    assert probing.get_color() == dashed.get_color()
    assert (probing.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["ours, probing", "ours, tuned", "chance"]
    assert not empty.axison and drawn[0].get_suptitle() == "simulated"
    assert (tmp_path / "x.png").stat().st_size > 1000 and (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_points_by_group(tmp_path, drawn):
    values = [("s1", "ours", 0.8, 0.02), ("s2", "ours", 0.7, None), ("s2", "forest", 0.4, None)]
    rows = pd.DataFrame(values, columns=["group", "line", "value", "std"]).assign(chance=0.25).astype({"std": float})
    plots.points_by_group(rows, tmp_path / "points.png", "title")
    axes = drawn[0].axes[0]
    shown = {bars.get_label(): bars[0].get_xydata().tolist() for bars in axes.containers}
    assert shown == {"ours": [[-0.125, 80], [0.875, 70]], "forest": [[1.125, 40]]}
    assert lines(axes)["chance"] == [[0, 25], [1, 25]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["s1", "s2"]
    assert (tmp_path / "points.pdf").is_file()


def test_long_titles_are_wrapped(tmp_path, drawn):
    plots.shots_panels(points("", "a", "a", {10: (0.5, 0.1)}, 0.2), tmp_path / "x.png", "many words " * 20, pdf=False)
    assert max(map(len, drawn[0].get_suptitle().splitlines())) <= 13 * drawn[0].get_figwidth()
    assert not (tmp_path / "x.pdf").exists()


def test_embedding_map_names_each_class_once(tmp_path, drawn):
    points = np.random.default_rng(0).standard_normal((12, 2))
    labels = ["walk", "sit", "fall"] * 2 + ["walk", "turn"] * 3
    datasets = ["one"] * 6 + ["two"] * 6
    plots.embedding_map(points, labels, datasets, ("a", "b"), tmp_path / "x.png", "t")
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
