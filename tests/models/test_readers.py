"""Heads that read features, and features standardised by person."""

import statistics

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler

from models import readers
from models.readers import CS, STRENGTHS, USUAL_C, chosen_c, fit_head, standardised_by_person


def blobs(per_class=12, classes=3, dim=6, people=4, seed=0, apart=1.0):
    """Features around a centre of each class; person k has every k-th window."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), per_class)
    x = rng.standard_normal((classes, dim))[y] * apart + rng.standard_normal((len(y), dim))
    return (x * 10 ** rng.uniform(-2, 2, dim)).astype(np.float32), y, np.arange(len(y)) % people


def test_the_linear_head_is_ridge_of_the_best_strength_left_out():
    """Each window left out in turn by hand; targets of a class are 1 and of the others -1."""
    x, y, people = blobs()
    z = StandardScaler().fit_transform(x)
    target = np.where(y[:, None] == np.arange(3), 1.0, -1.0)
    errors = []
    for strength in STRENGTHS:
        total = 0.0
        for i in range(len(y)):
            others = np.arange(len(y)) != i
            centre, mean = z[others].mean(0), target[others].mean(0)
            a = z[others] - centre
            weight = np.linalg.solve(a.T @ a + strength * np.eye(6), a.T @ (target[others] - mean))
            total += float((((z[i] - centre) @ weight + mean - target[i]) ** 2).sum())
        errors.append(total)
    best = RidgeClassifier(STRENGTHS[int(np.argmin(errors))]).fit(z, y)
    head = fit_head("linear", x, y, people, 0, 1)
    others = blobs(seed=1)[0]
    assert 0 < int(np.argmin(errors)) < len(STRENGTHS) - 1
    scores = best.decision_function(StandardScaler().fit(x).transform(others))
    assert head.decision_function(others) == pytest.approx(scores, rel=1e-3, abs=1e-4)  # float32 features


@pytest.mark.parametrize("dim", [6, 300])
def test_the_logistic_head_is_logistic_regression_at_its_c(dim, monkeypatch):
    """Also where it is computed in the windows' span, which has fewer dimensions than the features."""
    x, y, people = blobs(dim=dim, apart=0.4)
    head = fit_head("logistic", x, y, people, 0, 1)
    scaled = StandardScaler().fit(x)
    plain = LogisticRegression(C=head[-1].C, max_iter=5000, tol=1e-8).fit(scaled.transform(x), y)
    others = blobs(dim=dim, seed=1)[0]
    expected = plain.predict_proba(scaled.transform(others))
    assert head.predict_proba(others) == pytest.approx(expected, abs=2e-3)  # where lbfgs stops


def test_c_is_the_one_that_gets_most_windows_right(monkeypatch):
    x, y, people = blobs(apart=0.7, per_class=20)
    folds = []
    usual = readers.StratifiedGroupKFold.split

    def watched(self, *data):
        folds.extend(usual(self, *data))
        return folds

    monkeypatch.setattr(readers.StratifiedGroupKFold, "split", watched)
    found = chosen_c(x, y, people, 0)
    right = {}
    for c in CS:
        right[c] = 0
        for learnt, left in folds:
            model = LogisticRegression(C=c, max_iter=1000).fit(x[learnt], y[learnt])
            right[c] += sum(model.predict(x[i : i + 1])[0] == y[i] for i in left)
    assert found == max(CS, key=lambda c: (right[c], -c))
    assert len(folds) == 4 and all(not set(people[a]) & set(people[b]) for a, b in folds)  # four people


def test_c_without_people_or_windows_to_choose_by(monkeypatch):
    x, y, _ = blobs()
    assert chosen_c(x, y, y, 0) in CS  # each class of one person: windows are folded
    once = np.arange(len(y)) % 12 == 0
    assert chosen_c(x[once], y[once], y[once], 0) == USUAL_C
    head = fit_head("logistic", x[once], y[once], y[once], 0, 1)
    assert head.predict(x[once]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("head", ["linear", "logistic", "trees", "forest"])
def test_each_head_learns_and_repeats_itself(head, monkeypatch):
    monkeypatch.setitem(readers.TREES, "forest", 50)
    x, y, people = blobs(apart=4)
    others, truth, _ = blobs(apart=4)
    predictions = [fit_head(head, x, y, people, 3, 1).predict(others) for _ in range(2)]
    assert np.array_equal(*predictions) and (predictions[0] == truth).mean() > 0.9


def test_no_other_head():
    with pytest.raises(ValueError, match="head 'svm' must be linear, logistic, trees or forest"):
        fit_head("svm", *blobs(), 0, 1)


def test_standardised_by_the_persons_own_windows():
    rng = np.random.default_rng(0)
    theirs = {"ann": rng.normal(5, 3, (7, 2)), "bob": rng.normal(-1, 0.1, (4, 2))}
    theirs["bob"][:, 1] = 7.0
    people = np.array(["bob", "ann", "bob"])
    rows = np.stack([theirs["bob"][1], theirs["ann"][4], theirs["bob"][0]])
    found = standardised_by_person(rows, people, theirs.items())
    for row, name, result in zip(rows, people, found, strict=True):
        for d in range(2):
            values = theirs[name][:, d].tolist()
            std = statistics.pstdev(values) or 1
            assert result[d] == pytest.approx((row[d] - statistics.fmean(values)) / std, rel=1e-12)
