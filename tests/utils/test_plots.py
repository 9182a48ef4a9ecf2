"""Pictures show what they are given: drawn figures are inspected, not only written."""

import numpy as np
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


def test_loss_curve_refuses_other_files_and_waits_for_a_loss(tmp_path):
    csv = tmp_path / "metrics.csv"
    for text, message in (
        ("step,name,value\n0,loss,1\n5,loss\n", "line 3"),
        ("step,name,value\n0,loss,abc\n", "line 2"),
        ("a,b\n", "does not begin"),
        ("", "does not begin"),
    ):
        csv.write_text(text)
        with pytest.raises(ValueError, match=message):
            plots.loss_curve(csv, tmp_path / "loss.png")
    csv.write_text("step,name,value\n0,lr,1\n")
    plots.loss_curve(csv, tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()


def test_confusion_matrix_shows_row_percent(tmp_path, drawn):
    confusion = np.array([[3, 1, 0], [0, 0, 0], [10, 0, 10]])
    plots.confusion_matrix(confusion, ["walking", "fall", "standing"], tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    shown = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert shown == {(0, 0): "75", (0, 1): "25", (2, 0): "50", (2, 2): "50"}
    assert [t.get_text() for t in axes.get_yticklabels()] == ["walking (4)", "fall (0)", "standing (20)"]
    assert np.isnan(axes.images[0].get_array().filled(np.nan)[1]).all()
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_shots_curve_has_every_point_and_chance(tmp_path, drawn):
    results = {"pretrained": {100: (0.9, 0.01), 10: (0.7, 0.05)}, "random": {10: (0.3, None)}}
    plots.shots_curve(results, 0.2, tmp_path / "shots.png", "mmea, simulated")
    axes = drawn[0].axes[0]
    drawn_lines = [line.get_xydata().tolist() for line in axes.lines]
    assert [[10, 0.7], [100, 0.9]] in drawn_lines and [[10, 0.3]] in drawn_lines
    assert lines(axes)["chance"] == [[0, 0.2], [1, 0.2]]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["10", "100"]
    assert drawn[0].get_suptitle() == "mmea, simulated"
    plots.shots_curve(results, 0.2, tmp_path / "shots.png", "many words " * 20)
    assert max(map(len, drawn[1].get_suptitle().splitlines())) <= 13 * drawn[1].get_figwidth()
