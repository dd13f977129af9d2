"""Training: losses, optimizers, schedules, hard negatives, curricula, loss balancing and a trainer."""

from . import schedules
from .balancing import LossBalancer
from .clipping import clip_by_norm, clip_by_value, global_norm
from .contrastive import info_nce, local_contrastive
from .curriculum import CurriculumScheduler, Stage
from .mining import sample_hard_negatives
from .optimizers import SGD, Adam, AdamW, RMSprop
from .regularizers import laplacian, norm_penalty, orthogonality
from .riemannian import RiemannianAdam, RiemannianSGD
from .supervised import adjacency_reconstruction, cross_entropy, reconstruction
from .triplet_loss import triplet

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CurriculumScheduler",
    "LossBalancer",
    "RMSprop",
    "RiemannianAdam",
    "RiemannianSGD",
    "Stage",
    "adjacency_reconstruction",
    "clip_by_norm",
    "clip_by_value",
    "cross_entropy",
    "global_norm",
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
