"""Training: losses, optimizers, schedules, hard negatives, curricula, loss balancing and a trainer."""

from .contrastive import info_nce, local_contrastive
from .regularizers import laplacian, norm_penalty, orthogonality
from .supervised import adjacency_reconstruction, cross_entropy, reconstruction
from .triplet_loss import triplet

__all__ = [
    "adjacency_reconstruction",
    "cross_entropy",
    "info_nce",
    "laplacian",
    "local_contrastive",
    "norm_penalty",
    "orthogonality",
    "reconstruction",
    "triplet",
]
