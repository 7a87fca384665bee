"""Scores, losses, intervals and p-values by scikit-learn and SciPy.

    python sklearn_scipy.py > sklearn_scipy.json

Made with scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
"""

import json

import numpy as np
from scipy import stats
from sklearn import metrics

rng = np.random.default_rng(2026)


def classification(rows, labels, skill):
    # The last label never occurs in truth, the one before only there.
    truth = rng.integers(0, labels - 1, rows)
    guess = rng.integers(0, labels, rows)
    guess[guess == labels - 2] = 0
    predicted = np.where(rng.random(rows) < skill, np.where(truth == labels - 2, 0, truth), guess)
    probabilities = rng.dirichlet(np.ones(labels), rows)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(labels), zero_division=0
    )
    one_hot = np.eye(labels)[truth]
    return {
        "labels": labels,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": metrics.confusion_matrix(truth, predicted, labels=range(labels)).tolist(),
        "probabilities": probabilities.ravel().tolist(),
        "log_loss": metrics.log_loss(truth, probabilities, labels=range(labels)),
        "brier": float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        "brier_sklearn": metrics.brier_score_loss(
            truth, probabilities, labels=range(labels), scale_by_half=False
        ),
    }


def wilson(successes, trials, level):
    interval = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return {"successes": successes, "trials": trials, "level": level, "low": interval.low, "high": interval.high}


def mcnemar(only_model, only_other):
    n = only_model + only_other
    p = stats.binomtest(only_model, n, 0.5).pvalue if n else 1.0
    return {"only_model": only_model, "only_other": only_other, "p": p}


def sign_flip(differences):
    result = stats.permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    return {"differences": differences, "p": result.pvalue}


counts = rng.integers(0, 1000, 50).tolist()
print(
    json.dumps(
        {
            "classification": [
                classification(40, 4, 0.6),
                classification(60, 7, 0.3),
                classification(12, 3, 0.9),
            ],
            "wilson": [
                wilson(s, n, level)
                for s, n in [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (871, 1000), (500001, 1000000)]
                for level in (0.9, 0.95, 0.99)
            ],
            "mcnemar": [
                mcnemar(*pair)
                for pair in [(0, 0), (1, 0), (5, 0), (3, 9), (10, 10), (40, 60), (700, 800), (20000, 20500)]
            ],
            "sign_flip": [
                sign_flip(np.round(rng.normal(0.3, 1, n), 3).tolist()) for n in (2, 5, 9, 12)
            ]
            + [sign_flip([1.0, 1.0, 1.0, -1.0, 1.0, 0.0, 1.0])],
            "entropy": {"counts": counts, "nats": stats.entropy(counts)},
        },
        indent=None,
    )
)
