"""Units of whole datasets: people who never rest, the report, and real cohorts, right and with faults."""

import numpy as np
import pytest

from configs.constants import STANDARD_GRAVITY
from datasets.formats import FORMATS
from datasets.preparation.signals import process
from datasets.preparation.units_check import check_units
from datasets.preparation.units_report import report_units, units_problems


def restless(*gravity, unrest=0.3):
    return [{"gravity_m_s2": g, "unrest": unrest, "rest_s": 0} for g in gravity]


def names(subjects, notes):
    return [name for name, _ in units_problems([f"r{k}" for k in range(len(notes))], subjects, notes)]


def test_people_who_never_rest_are_judged_together():
    notes = restless(11, 19, 7, 0.98, 1.1, 1.9)
    assert names(["a"] * 3 + ["b"] * 3, notes) == ["3 recordings of b, which never rest"]
    ((_, problem),) = units_problems("def", ["b"] * 3, notes[3:])
    assert "reads 0.98 m/s²" in problem and "g taken for m/s²" in problem


def test_the_quietest_tenth_decides():
    notes = restless(*[19] * 18) + restless(9.5, 10.1, unrest=0.03)
    assert names(["a"] * 20, notes) == []
    assert names(["a"] * 18, notes[:18]) == ["18 recordings of a, which never rest"]


def test_people_with_few_recordings_are_judged_with_others():
    assert names(["a", "a", "b", "c", "c", "c"], restless(1, 1, 1, 10, 10, 10)) == [
        "3 recordings of 2 people, which never rest"
    ]
    assert names([""] * 3, restless(1, 1, 1)) == ["3 recordings of unknown people, which never rest"]


def test_recordings_that_rest_or_were_not_asked_are_left_out():
    notes = [{"gravity_m_s2": 0.98, "unrest": 0.01, "rest_s": 2}, {"gravity_m_s2": 0.98}]
    assert names(["a", "a"], notes) == []


def test_a_dataset_is_reported_in_a_few_lines():
    wrong = {"gravity_m_s2": 0.98, "units_problem": "g", "rest_s": 4}
    notes = [{"gravity_m_s2": 9.8, "gyro_scale": 1.0, "rest_s": 9}] * 3 + [wrong] * 8 + restless(*[19] * 12)
    lines = report_units([f"r{n}" for n in range(23)], ["a"] * 23, notes)
    assert lines[0] == (
        "units: 0.98 m/s² at rest (median of 11 of 23 recordings, want 9.8); gyroscope 1.00 rad/s for each rad/s at "
        "which gravity turns (median of 3 recordings): fine, want 0.2 to 5, since steps bias it"
    )
    assert lines[1] == "WARNING, units of r3: g" and lines[-1].startswith("WARNING, units of 4 more")
    assert len(lines) == 7 and report_units(["a"], ["s"], [{}]) == []
    (line, _) = report_units("abc", "aaa", restless(19, 19, 19))
    assert "19.00 m/s² in the quietest seconds (median of 3 of 3" in line


@pytest.mark.parametrize(
    "note, verdict",
    [
        ({"gyro_scale": 1.44}, "1.44 rad/s for each rad/s at which gravity turns (median of 1 recordings): fine"),
        ({"gyro_scale": 57.3}, "57.30 rad/s for each rad/s at which gravity turns (median of 1 recordings): WRONG"),
        ({"gyro_scale": 0.017}, "0.02 rad/s for each rad/s at which gravity turns (median of 1 recordings): WRONG"),
        ({}, "too little in all of them to tell"),
        ({"missing_gyro": "zeros"}, "want 9.8)"),
    ],
)
def test_what_the_turning_of_gravity_says(note, verdict):
    (line,) = report_units(["a"], ["s"], [{"gravity_m_s2": 9.8, "rest_s": 3} | note])
    assert verdict in line and ("gyroscope" in line) == ("missing_gyro" not in note)


# ------------------------------------------------------------- real cohorts

COHORTS = {  # settings of the format, every so many-th recording, an axis along which gravity lies at rest in some
    "utd_mhad": ({"sensor": None}, 16, 0),
    "hapt": ({"sensor": None}, 15, 0),
    "sisfall": ({"sensor": None}, 70, 1),
    "sp_sw_har": ({"sensor": ["watch"]}, 8, 2),
    "stanford_fog": ({"sensor": None}, 3, 0),
    "classyglass": ({"subset": ["Dataset_1A"]}, 11, 1),
}
GRAVITY_FAULTS = {
    "g taken for m/s²": 1 / STANDARD_GRAVITY,
    "another range (2 times)": 2,
    "another range (0.5 times)": 0.5,
}


@pytest.mark.parametrize("name", COHORTS)
def test_real_cohorts_are_right_and_their_faults_are_found(name, real_data):
    if not (real_data / name).is_dir():
        pytest.skip(f"no {real_data / name}")
    options, every, axis = COHORTS[name]
    recordings = [s.parse() for s in FORMATS[name].find(real_data / name, **options).sources[::every]]
    found = [(r, process(r, window_s=2.0).parts[0].imu) for r in recordings]
    ids, subjects = [r.id for r, _ in found], [r.subject for r, _ in found]

    def problems(*factors):
        return units_problems(ids, subjects, [check_units(imu * np.array(factors, np.float32)) for _, imu in found])

    assert problems(1, 1, 1, 1, 1, 1) == []
    for cause, factor in GRAVITY_FAULTS.items():
        wrong = problems(*[factor] * 3, 1, 1, 1)
        alone = [who for who, _ in wrong if who in ids]
        together = [int(who.split()[0]) for who, _ in wrong if who not in ids]
        assert len(alone) + sum(together) == len(ids), wrong  # nobody is left out
        named = [cause in problem for _, problem in wrong]
        assert np.mean(named) > 0.6  # the offset of an axis may hide by which factor
    assert problems(*[1.3 if k == axis else 1 for k in range(6)])
    degrees = [who for who, problem in problems(1, 1, 1, *[180 / np.pi] * 3) if "state deg/s as its unit" in problem]
    assert degrees == ids
