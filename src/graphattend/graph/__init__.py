from .metadata import GraphMetadata


class NeighborGraph:
    pass
