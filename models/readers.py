"""Classical heads that read a representation of windows: every row of a table is read by the same ones.

Letters: n windows, D features, K classes.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STRENGTHS = np.logspace(-3, 5, 9)  # of the ridge penalty
CS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strengths of the logistic regression's penalty
USUAL_C = 0.1  # where there are too few windows to choose
FOLDS = 5
TREES = {"trees": 300, "forest": 500}


def fit_head(head: str, x: np.ndarray, y: np.ndarray, people: np.ndarray, seed: int, threads: int) -> Any:
    """Learn classes from features of a few labelled windows.

    * ``linear``: a ridge classifier on standardised features, its strength chosen by leaving one window out.
    * ``logistic``: logistic regression on standardised features, C chosen by ``chosen_c``.
    * ``trees``: 300 extremely randomised trees (Geurts et al. 2006).
    * ``forest``: a random forest of 500 trees.

    Features are standardised by the windows learnt from.

    Args:
        x: (n, D).
        y: (n,) classes.
        people: (n,) of whom each window is.
        seed: of the trees, and of the folds that choose C.
        threads: of the trees; 0 takes every core.

    Returns:
        An estimator of scikit-learn with ``predict``.

    Raises:
        ValueError: if there is no such head.
    """
    if head == "linear":
        return make_pipeline(StandardScaler(), RidgeClassifierCV(STRENGTHS)).fit(x, y)
    if head == "logistic":
        # Turned into the windows' own span, in which the solution lies: the same answer, from n numbers instead of D
        turned = make_pipeline(StandardScaler(), PCA(svd_solver="full")).fit(x)
        z = turned.transform(x)
        return make_pipeline(turned, _logistic(chosen_c(z, y, people, seed)).fit(z, y))
    if head in TREES:
        kind = ExtraTreesClassifier if head == "trees" else RandomForestClassifier
        return kind(TREES[head], random_state=seed, n_jobs=threads or -1).fit(x, y)
    raise ValueError(f"head {head!r} must be linear, logistic, trees or forest")


def event_scores(head: Any, x: np.ndarray) -> np.ndarray:
    """(n,) how sure a head of two classes is of the second: its decision value, or of trees their mean probability."""
    if hasattr(head, "decision_function"):
        return head.decision_function(x)
    return head.predict_proba(x)[:, 1]


def chosen_c(z: np.ndarray, y: np.ndarray, people: np.ndarray, seed: int) -> float:
    """The C of ``CS`` that gets most windows of the folds left out right, of equals the strongest penalty.

    Up to five folds keep people apart where every class is of two people at least, otherwise windows; where a class
    has a single window, or no fold leaves every class on the other side, it is ``USUAL_C``.
    """
    folds = [(a, b) for a, b in _folds(y, people, seed) if len(np.unique(y[a])) == len(np.unique(y))]
    if not folds:
        return USUAL_C
    right = [sum(int((_logistic(c).fit(z[a], y[a]).predict(z[b]) == y[b]).sum()) for a, b in folds) for c in CS]
    return CS[int(np.argmax(right))]


def _folds(y: np.ndarray, people: np.ndarray, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    most_people = min(len(np.unique(people[y == k])) for k in np.unique(y))
    most_windows = int(np.unique(y, return_counts=True)[1].min())
    if most_people > 1:
        return StratifiedGroupKFold(min(FOLDS, most_people), shuffle=True, random_state=seed).split(y, y, people)
    if most_windows > 1:
        return StratifiedKFold(min(FOLDS, most_windows), shuffle=True, random_state=seed).split(y, y)
    return []


def _logistic(c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=1000)


def standardised_by_person(
    features: np.ndarray, people: np.ndarray, own: Iterable[tuple[str, np.ndarray]]
) -> np.ndarray:
    """Each window's features z-scored by mean and standard deviation of all windows of its person.

    What makes one person's features differ from another's as a whole, as the way of wearing a sensor does, is gone. No
    label is used, but the person's windows are: also those to be predicted.

    Args:
        features: (n, D).
        people: (n,) names.
        own: every name and the (m, D) features of the person's windows, labelled or not.

    Returns:
        (n, D); a feature that does not vary in a person is only centred.
    """
    out = np.empty_like(features)
    for name, theirs in own:
        std = theirs.std(axis=0)
        rows = people == name
        out[rows] = (features[rows] - theirs.mean(axis=0)) / np.where(std > 1e-8, std, 1)
    return out
