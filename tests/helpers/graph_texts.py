"""Graph files as other programs write them, and helpers to read them."""

from graphattend.graph.files import parse


def read(data, name, **options):
    return parse(
        data if isinstance(data, bytes) else data.encode(), name, suffix="." + name.partition(".")[2], **options
    )


def edges(told):
    """Return every edge as the names of its ends and its weight."""
    graph = told.graph
    names = graph.names or tuple(map(str, range(graph.num_nodes)))
    weights = [None] * graph.num_edges if graph.edge_weights is None else graph.edge_weights.tolist()
    return sorted((names[j], names[i], w) for (j, i), w in zip(graph.to_edge_index().T.tolist(), weights, strict=True))


def both(*listed):
    """Return undirected edges in both directions, as they are stored."""
    return sorted({*listed, *((j, i, w) for i, j, w in listed)})


def theirs(graph, weight="weight"):
    """Return networkx's edges in our form."""
    weighted = any(weight in data for _, _, data in graph.edges(data=True))
    found = [(str(u), str(v), float(d.get(weight, 1)) if weighted else None) for u, v, d in graph.edges(data=True)]
    return sorted(found) if graph.is_directed() else sorted(found + [(v, u, w) for u, v, w in found if u != v])


GEXF = """<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://gexf.net/1.3" version="1.3" xmlns:viz="http://gexf.net/1.3/viz">
  <meta lastmodifieddate="2024-03-01"><creator>Gephi 0.10</creator></meta>
  <graph defaultedgetype="undirected" mode="static">
    <attributes class="node" mode="static"><attribute id="modularity_class" title="Modularity Class" type="integer"/></attributes>
    <attributes class="edge" mode="static">
      <attribute id="0" title="trips" type="integer"><default>4</default></attribute>
      <attribute id="1" title="line" type="string"/>
    </attributes>
    <nodes count="3">
      <node id="11.0" label="Valjean"><attvalues><attvalue for="modularity_class" value="1"/></attvalues>
        <viz:size value="100.0"/><viz:position x="-87.9" y="6.8"/><viz:color r="245" g="91" b="91"/></node>
      <node id="24.0" label="Fantine"/>
      <node id="27.0" label="Javert"/>
    </nodes>
    <edges count="2">
      <edge id="0" source="11.0" target="24.0" weight="9.0"><attvalues><attvalue for="1" value="red"/></attvalues></edge>
      <edge id="1" source="11.0" target="27.0" weight="17.0" type="directed">
        <attvalues><attvalue for="0" value="7"/></attvalues></edge>
    </edges>
  </graph>
</gexf>"""

GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key attr.name="label" attr.type="string" for="node" id="label"/>
  <key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
  <key attr.name="weight" attr.type="double" for="edge" id="weight"><default>1.0</default></key>
  <key id="d7" for="node" yfiles.type="nodegraphics"/>
  <graph edgedefault="directed">
    <node id="n0"><data key="label">Ann</data><data key="d7"><y:ShapeNode><y:Fill color="#FF0000"/></y:ShapeNode></data></node>
    <node id="n1"><data key="label">Bob</data></node>
    <edge id="e0" source="n0" target="n1"><data key="weight">2.5</data></edge>
    <edge id="e1" source="n1" target="n1" directed="false"/>
    <edge id="e2" source="n1" target="n0" directed="false"><data key="edgelabel">friends</data></edge>
  </graph>
</graphml>"""

NEWMAN = """Creator "Mark Newman on Sat Jul 22 05:32:16 2006"
graph
[
  directed 0
  node
  [
    id 0
    label "BrighamYoung"
    value 7
  ]
  node
  [
    id 3
    label "Fl&#246;rida"
  ]
  edge
  [
    source 3
    target 0
    value 2
    graphics [ fill "#808080" ]
  ]
]
"""

PAJEK = """*Network ragusa
*Vertices 4
1 "Ann Lee" 0.1 0.2 0.5 ic Red
3 Cid
% a comment
*Arcs
1 2 3 c Blue w 2
*Edges
2 3
*Arcslist
4 1 2
"""

METIS = "% a comment\n4 3 011 1\n1 2 5 3 7\n1 1 5\n1 1 7 4 2\n9 3 2\n"

CYTOSCAPE = {
    "data": {"shared_name": "net"},
    "elements": {
        "nodes": [
            {"data": {"id": "62", "SUID": 62, "name": "YDL"}, "position": {"x": 1, "y": 2}},
            {"data": {"id": "63", "SUID": 63, "name": "YDM"}},
        ],
        "edges": [
            {
                "data": {
                    "id": "70",
                    "SUID": 70,
                    "source": "62",
                    "target": "63",
                    "weight": 0.5,
                    "interaction": "pp",
                    "score": 3,
                }
            }
        ],
    },
}

D3 = {
    "nodes": [{"id": "Myriel", "group": 1}, {"id": "Napoleon", "group": 1}],
    "links": [{"source": "Napoleon", "target": "Myriel", "value": 8, "index": 0}],
}
