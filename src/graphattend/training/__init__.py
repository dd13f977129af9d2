"""Training: losses, optimizers, schedules, hard negative sampling, curricula, loss balancing and a trainer."""

from ..registry import export
from . import schedules as schedules
from ._registries import LOSSES as LOSSES
from ._registries import OPTIMIZERS as OPTIMIZERS
from ._registries import SCHEDULES as SCHEDULES
from .balancing import LossBalancer as LossBalancer
from .batches import Neighborhoods as Neighborhoods
from .batches import Nodes as Nodes
from .batches import Pairs as Pairs
from .batches import Rows as Rows
from .clipping import clip_by_norm as clip_by_norm
from .clipping import clip_by_value as clip_by_value
from .clipping import global_norm as global_norm
from .contrastive import info_nce as info_nce
from .contrastive import local_contrastive as local_contrastive
from .curriculum import CurriculumScheduler as CurriculumScheduler
from .curriculum import Stage as Stage
from .mining import sample_hard_negatives as sample_hard_negatives
from .objectives import graph_objective as graph_objective
from .optimizers import SGD as SGD
from .optimizers import Adam as Adam
from .optimizers import AdamW as AdamW
from .optimizers import RMSprop as RMSprop
from .regularizers import laplacian as laplacian
from .regularizers import laplacian_regularization as laplacian_regularization
from .regularizers import norm_penalty as norm_penalty
from .regularizers import orthogonality as orthogonality
from .riemannian import RiemannianAdam as RiemannianAdam
from .riemannian import RiemannianSGD as RiemannianSGD
from .supervised import adjacency_reconstruction as adjacency_reconstruction
from .supervised import cross_entropy as cross_entropy
from .supervised import reconstruction as reconstruction
from .trainer import FitResult as FitResult
from .trainer import Progress as Progress
from .trainer import Session as Session
from .trainer import Trainer as Trainer
from .triplet_loss import triplet as triplet

export(globals(), "schedules")
