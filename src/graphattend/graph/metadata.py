from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class GraphMetadata:
    edge_features: Any = None
    edge_weights: Any = None
    distances: Any = None
    hnsw_layers: Any = None
    query_layer: Any = None
    structural_features: Any = None
    query_structural: Any = None
    latent_keys: Any = None
    latent_values: Any = None
