"""Write networkx's graph of co-appearances in Les Misérables (Knuth 1993) as JSON node-link, and print the path."""

import json
from pathlib import Path

import networkx as nx

OUT = Path(__file__).resolve().parent.parent / "build" / "les_miserables.json"


def export() -> Path:
    """Write the file and return its path."""
    OUT.parent.mkdir(exist_ok=True)
    data = nx.node_link_data(nx.les_miserables_graph(), edges="links")
    OUT.write_text(json.dumps(data), encoding="utf-8")
    return OUT


if __name__ == "__main__":
    print(export())
