"""Evaluation of mechanisms on a graph: tasks, small networks, baselines and metrics."""

from .baselines import BASELINES
from .files import evaluate_file
from .metrics import (
    accuracy,
    average_precision,
    calibration,
    hits_at,
    jensen_shannon,
    macro_f1,
    mean_reciprocal_rank,
    roc_auc,
    sign_flip_test,
    top_overlap,
)
from .results import Attended, Entry, Evaluation, Run
from .run import Fit, evaluate, fit

__all__ = [
    "BASELINES",
    "Attended",
    "Entry",
    "Evaluation",
    "Fit",
    "Run",
    "accuracy",
    "average_precision",
    "calibration",
    "evaluate",
    "evaluate_file",
    "fit",
    "hits_at",
    "jensen_shannon",
    "macro_f1",
    "mean_reciprocal_rank",
    "roc_auc",
    "sign_flip_test",
    "top_overlap",
]
