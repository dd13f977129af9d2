"""Write the demo's gallery: graphs with latent vectors, positions and attention weights computed by Python."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

import graphattend as ga
from graphattend.analysis import analyze, latents
from graphattend.drawing import layout
from graphattend.graph.properties import count_edges

OUT = Path(__file__).resolve().parent.parent / "build" / "gallery"

#: Parent of every kind of animal, by zoology and dictionaries.
ANIMALS = {
    "mammal": "carnivore rodent primate ungulate whale bat rabbit marsupial",
    "carnivore": "dog-like cat-like bear seal weasel-like",
    "dog-like": "wolf fox jackal dog",
    "dog": "terrier shepherd hound poodle",
    "cat-like": "lion tiger leopard lynx cat",
    "bear": "polar_bear brown_bear panda",
    "seal": "walrus sea_lion",
    "weasel-like": "otter badger marten",
    "rodent": "mouse rat squirrel beaver hamster",
    "primate": "ape monkey lemur",
    "ape": "human chimpanzee gorilla orangutan gibbon",
    "monkey": "baboon macaque capuchin",
    "ungulate": "horse-like ruminant pig elephant",
    "horse-like": "horse donkey zebra",
    "ruminant": "cow sheep goat deer giraffe",
    "deer": "elk reindeer roe_deer",
    "whale": "dolphin orca blue_whale sperm_whale",
    "bat": "fruit_bat vampire_bat",
    "rabbit": "hare cottontail",
    "marsupial": "kangaroo koala wombat",
}
#: Mechanisms whose weights are included with larger graphs; the page computes the others with Python.
FEW = ["scaled_dot_product", "hyperbolic", "multi_head", "edge_featured"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A graph of the gallery and its data."""

    name: str
    title: str
    about: str
    graph: ga.NeighborGraph
    labels: list[str] | None = None
    embeddings: np.ndarray | None = None
    positions: np.ndarray | None = None
    more: dict[str, Any] = dataclasses.field(default_factory=dict)


def les_miserables() -> Entry:
    """Characters of the novel who appear together, weighted by how often."""
    return Entry(
        "les_miserables",
        "Les Misérables",
        "Characters of Victor Hugo's novel; an edge joins two who appear in one chapter (Knuth 1993).",
        ga.NeighborGraph.from_networkx(nx.les_miserables_graph()),
    )


def karate() -> Entry:
    """Members of a club that split in two."""
    g = nx.karate_club_graph()
    named = nx.relabel_nodes(g, {i: f"member {i + 1}" for i in g})
    for _, _, data in named.edges(data=True):
        data.clear()
    return Entry(
        "karate",
        "Karate club",
        "34 members of a club and their friendships; the club split in two (Zachary 1977).",
        ga.NeighborGraph.from_networkx(named),
        [data["club"] for _, data in g.nodes(data=True)],
    )


def animals() -> Entry:
    """A tree of kinds of mammals."""
    g = nx.Graph([(parent, kind) for parent, kinds in ANIMALS.items() for kind in kinds.split()])
    g = nx.relabel_nodes(g, {n: n.replace("_", " ") for n in g})
    branch = {"mammal": "mammal"}
    for parent, kind in nx.bfs_edges(g, "mammal"):
        branch[kind] = kind if parent == "mammal" else branch[parent]
    return Entry(
        "animals",
        "Kinds of mammals",
        "A tree: every kind is joined to the kind above it.",
        ga.NeighborGraph.from_networkx(g),
        [branch[n] for n in g],
    )


def digits() -> Entry:
    """Images of handwritten digits, each joined to the most similar ones."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.data[:300] / 16, [str(d) for d in data.target[:300]]
    centred = images - images.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    x = centred @ axes[:16].T
    graph = ga.NeighborGraph.knn(x, 6)
    names = [f"{d} (no. {i})" for i, d in enumerate(labels)]
    return Entry(
        "digits",
        "Handwritten digits",
        "300 images of digits; each attends to the six most similar ones (Alpaydin & Kaynak 1998).",
        dataclasses.replace(graph, names=names),
        labels,
        x,
    )


def hnsw() -> Entry:
    """An index for approximate nearest neighbours, with its layers."""
    import faiss

    rng = np.random.default_rng(7)
    centres = rng.random((9, 2))
    points = np.clip(centres[rng.integers(0, 9, 260)] + rng.normal(0, 0.075, (260, 2)), 0, 1).astype(np.float32)
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(2, 4)
    index.hnsw.efConstruction = 40
    index.add(points)
    levels = faiss.vector_to_array(index.hnsw.levels) - 1
    layers = []
    for level in range(int(levels.max()) + 1):
        one = ga.NeighborGraph.from_faiss_hnsw(index, layer=level)
        layers.append({"indptr": one.indptr.tolist(), "indices": one.indices.tolist()})
    graph = ga.NeighborGraph.from_faiss_hnsw(index)
    return Entry(
        "hnsw",
        "HNSW index",
        "260 points in the plane in an index for nearest neighbours: sparse upper layers, a dense one below "
        "(Malkov & Yashunin 2018).",
        dataclasses.replace(graph, names=[f"point {i}" for i in range(260)], layers=levels),
        None,
        None,
        points.astype(float),
        {"search": {"layers": layers, "entry": int(index.hnsw.entry_point), "points": shortened(points, 6)}},
    )


def shortened(x: Any, digits: int = 8) -> list[Any]:
    """Return an array as lists, rounded to a number of digits."""
    flat = np.asarray(x, np.float64)
    return [float(f"{v:.{digits}g}") for v in flat.ravel()]


def parameters(dim: int) -> dict[str, Any]:
    """Return initial parameters of the mechanisms with projections."""
    found = {key: ga.create(key, dim=dim, seed=0).parameters() for key in ("multi_head", "edge_featured")}
    return {
        key: {name: {"shape": list(a.shape), "data": shortened(a, 10)} for name, a in p.items()}
        for key, p in found.items()
    }


def content(entry: Entry, keys: list[str] | None) -> dict[str, Any]:
    """Return the page's data of a graph as JSON types."""
    x = latents(entry.graph, entry.embeddings, 16)
    found = analyze(entry.graph, x, keys)
    graph = found.graph
    places = layout(graph.indptr, graph.indices) if entry.positions is None else entry.positions
    weights = entry.graph.edge_weights
    return {
        "name": entry.name,
        "title": entry.title,
        "about": entry.about,
        "nodes": found.names,
        "indptr": graph.indptr.tolist(),
        "indices": graph.indices.tolist(),
        "edges": count_edges(graph, found.directed)[0],
        "edgeWeights": None if weights is None else shortened(weights),
        "layers": None if graph.layers is None else np.asarray(graph.layers).tolist(),
        "labels": entry.labels,
        "dim": int(x.shape[1]),
        "latents": shortened(x, 10),
        "ownLatents": entry.embeddings is not None,
        "positions": shortened(places, 5),
        "results": {r.key: shortened(r.weights) for r in found.results},
        "skipped": found.skipped,
        "advice": dataclasses.asdict(ga.recommend(entry.graph)),
        "parameters": parameters(x.shape[1]),
        **entry.more,
    }


def export() -> Path:
    """Write the files and return their folder."""
    OUT.mkdir(parents=True, exist_ok=True)
    for entry in (les_miserables(), karate(), animals(), digits(), hnsw()):
        keys = None if entry.graph.num_edges <= 600 else FEW
        text = json.dumps(content(entry, keys), ensure_ascii=False, separators=(",", ":"))
        (OUT / f"{entry.name}.json").write_text(text, encoding="utf-8")
    schemas = {key: ga.schema(key) for key in ga.list_mechanisms()}
    (OUT / "schemas.json").write_text(json.dumps(schemas, separators=(",", ":")), encoding="utf-8")
    return OUT


if __name__ == "__main__":
    print(export())
