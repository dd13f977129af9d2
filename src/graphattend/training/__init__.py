"""Training: losses, optimizers, schedules, hard negatives, curricula, loss balancing and a trainer."""

from . import schedules
from ._registries import LOSSES, OPTIMIZERS, SCHEDULES
from .balancing import LossBalancer
from .batches import Neighborhoods, Nodes, Pairs, Rows
from .clipping import clip_by_norm, clip_by_value, global_norm
from .contrastive import info_nce, local_contrastive
from .curriculum import CurriculumScheduler, Stage
from .mining import sample_hard_negatives
from .objectives import graph_objective
from .optimizers import SGD, Adam, AdamW, RMSprop
from .regularizers import laplacian, norm_penalty, orthogonality
from .riemannian import RiemannianAdam, RiemannianSGD
from .supervised import adjacency_reconstruction, cross_entropy, reconstruction
from .trainer import FitResult, Progress, Session, Trainer
from .triplet_loss import triplet

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "CurriculumScheduler",
    "FitResult",
    "LossBalancer",
    "Neighborhoods",
    "Nodes",
    "Pairs",
    "Progress",
    "RMSprop",
    "RiemannianAdam",
    "RiemannianSGD",
    "Rows",
    "Session",
    "Stage",
    "Trainer",
    "adjacency_reconstruction",
    "clip_by_norm",
    "clip_by_value",
    "cross_entropy",
    "global_norm",
    "graph_objective",
    "info_nce",
    "laplacian",
    "local_contrastive",
    "norm_penalty",
    "orthogonality",
    "reconstruction",
    "sample_hard_negatives",
    "schedules",
    "triplet",
]
