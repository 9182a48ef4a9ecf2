"""What every format keeps to, and how a new one is added."""

import inspect
import re
from typing import get_args

import numpy as np
import pytest

from configs.data import PrepareConfig
from datasets.formats import FORMATS
from datasets.formats.table import Described
from datasets.preparation.finalize import finalize
from datasets.preparation.source import prepare_source
from datasets.recording import BadRecording
from datasets.store import Store
from datasets.windows import list_windows
from tests.datasets.formats import example_format
from tests.videos import number_of, write_video

ALL = FORMATS | {"example": example_format}


def test_the_command_knows_every_format():
    names, _ = get_args(PrepareConfig.model_fields["format"].annotation)  # or None
    assert set(get_args(names)) == set(FORMATS)


@pytest.mark.parametrize("name", ALL)
def test_find_takes_the_folder_and_its_options(name):
    module = ALL[name]
    # only scripts.predict and scripts.embed ask a description for signals alone: no setting of preparation
    of_signals = ("signal_only",) if name == "table" or isinstance(module, Described) else ()
    assert tuple(inspect.signature(module.find).parameters) == ("raw", *module.OPTIONS, *of_signals)
    for option in module.OPTIONS:
        field = PrepareConfig.model_fields[option]
        assert type(None) in get_args(field.annotation), "other formats leave it unset"
        described = isinstance(module, Described) or (name == "table" and option in ("sensor", "missing_gyro"))
        assert field.default is None
        assert field.description.startswith("table, and formats that are" if described else f"{name}: ")


@pytest.mark.parametrize("name", ALL)
def test_units_and_axes_are_stated(name):
    module = ALL[name]
    text = module.table.read_text("utf-8") if isinstance(module, Described) else inspect.getdoc(module)
    assert re.search(r"m/s²|\bg\b|counts", text) and re.search(r"rad/s|deg/s", text), "units"
    assert re.search(r"\b[Aa]xes\b|forward", text), "axes"


@pytest.mark.parametrize("name", ALL)
def test_a_missing_folder_is_named_with_the_remedy(name, tmp_path):
    others = dict.fromkeys(ALL[name].OPTIONS)
    with pytest.raises(FileNotFoundError, match="nowhere.*--raw"):
        ALL[name].find(tmp_path / "nowhere", **others)


def write_example(path, seconds, times=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{5000 + 10 * k if times else ''},0,0,1,90,0,0" for k in range(100 * seconds)]
    path.write_text("\n".join(["t,ax,ay,az,gx,gy,gz", *rows]) + "\n")


def test_the_example_is_short_and_makes_a_dataset(tmp_path):
    assert len(inspect.getsource(example_format).splitlines()) <= 55
    raw, root = tmp_path / "raw", tmp_path / "data"
    write_example(raw / "Ann B" / "walking.csv", 12)
    write_video(raw / "Ann B" / "walking.mp4", 25 * 11)
    write_example(raw / "Ben" / "sitting.csv", 6)
    write_example(raw / "Ben" / "broken.csv", 6, times=False)
    found = example_format.find(raw)
    status = {source.id: prepare_source(source, raw, root, 64) for source in found.sources}
    assert status == {"Ann_B-walking": "prepared", "Ben-broken": "rejected", "Ben-sitting": "prepared"}
    finalize(root, [s.id for s in found.sources], found.rejected, found.classes,
           {"name": "example", "simulated": False, "frame_size": 64, "settings": {}})  # fmt: skip
    store = Store(root)
    assert store.classes == ["sitting", "walking"] and store.info["subjects"] == ["Ann B", "Ben"]
    windows = list_windows(store, labelled=True)
    assert windows.ids() == ["Ann_B-walking@0", "Ann_B-walking@5", "Ben-sitting@0"]
    imu = windows.imu(np.arange(3), "none")
    np.testing.assert_allclose(imu.mean((0, 2)), [0, 0, 9.80665, np.pi / 2, 0, 0], atol=1e-5)
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    windows.read_frames(1, np.array([0, 10]), frames)
    assert [number_of(frame) for frame in frames] == [125, 150]  # seconds 5 and 6 at 25 fps


def test_the_example_says_why_a_file_cannot_be_used(tmp_path):
    write_example(tmp_path / "Ben" / "broken.csv", 6, times=False)
    with pytest.raises(BadRecording, match=r"missing_time: .*broken\.csv"):
        example_format.find(tmp_path).sources[0].parse()
