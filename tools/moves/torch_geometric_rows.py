"""PyTorch Geometric."""

import networkx
import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GATv2Conv
from torch_geometric.utils import degree, softmax, to_networkx

import graphattend as ga

from . import table

DISTRIBUTION, TITLE = "torch_geometric", "PyTorch Geometric"
ROWS, row = table()


def random_graph(rng):
    """Distinct edges without loops, as rows of sources and targets, of eight nodes, each with an edge that comes in."""
    edges = {(int(s), int(t)) for s, t in rng.integers(0, 8, (20, 2)) if s != t} | {((i + 1) % 8, i) for i in range(8)}
    return np.array(sorted(edges)).T


@row("`edge_index`")
def edge_index(rng):
    edges = random_graph(rng)
    graph = ga.NeighborGraph.from_edge_index(edges, num_nodes=8)
    yield graph.degree(), degree(torch.tensor(edges[1]), num_nodes=8)
    back = graph.to_edge_index()
    yield back[:, np.lexsort(back)], edges[:, np.lexsort(edges)]


def layer(rng, module, names, **options):
    """The output of a layer and ours with its parameters."""
    edges, x = random_graph(rng), rng.standard_normal((8, 5))
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    attention = ga.create("edge_featured", 5, num_heads=2, head_dim=3, add_self_loops=True, **options)
    heads = lambda w: w.reshape(2, 3, 5).transpose(0, 2, 1)  # noqa: E731
    parameters = {
        ours: heads(state[theirs]) if state[theirs].ndim == 2 and "lin" in theirs else state[theirs].reshape(2, 3)
        for ours, theirs in names.items()
    }
    parameters["bias"] = state["bias"]
    graph = ga.NeighborGraph.from_edge_index(edges, num_nodes=8)
    ours = attention.with_parameters(parameters).attend(graph, x)
    return ours, module(torch.tensor(x), torch.tensor(edges))


@row("`GATConv(D, E, heads=H)`")
def gat(rng):
    names = {"w": "lin.weight", "a_query": "att_dst", "a_key": "att_src"}
    yield layer(rng, GATConv(5, 3, heads=2).double(), names)


@row("`GATv2Conv(D, E, heads=H)`")
def gatv2(rng):
    names = {"w_query": "lin_r.weight", "w_key": "lin_l.weight", "a": "att"}
    module = GATv2Conv(5, 3, heads=2).double()
    for linear in (module.lin_l, module.lin_r):  # ours has no biases there
        torch.nn.init.zeros_(linear.bias)
    yield layer(rng, module, names, variant="gatv2")


@row("`softmax(src, ptr=ptr)`")
def segment_softmax(rng):
    scores, ptr = rng.standard_normal(6), np.array([0, 2, 5, 6])
    yield ga.functional.segment_softmax(scores, ptr), softmax(torch.tensor(scores), ptr=torch.tensor(ptr))


@row("`to_networkx(data)`")
def networkx_graph(rng):
    edges = random_graph(rng)
    theirs = to_networkx(Data(edge_index=torch.tensor(edges), num_nodes=8))
    ours = ga.NeighborGraph.from_edge_index(edges, num_nodes=8).to_networkx()
    yield networkx.to_numpy_array(ours, nodelist=range(8), weight=None), networkx.to_numpy_array(theirs)
