// More of the shared checks: what graphs and files can be made of, and what comes back.
import { equal, ok, rejects } from "./suite.mjs";

export const dataChecks = {
  "graphs from what people have": async (ga) => {
    const nodes = [{ id: "a" }, { id: "b" }, { id: "c" }];
    const links = [{ source: "a", target: "b", value: 2 }, { source: nodes[1], target: nodes[2], value: 3 }];
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const x = [[1, 0], [0, 1], [1, 1]];
    const outputs = [];
    const inputs = [{ nodes, links }, "a,b,2\nb,c,3\n", "a b 2\nb c 3\n", new TextEncoder().encode("a b 2\nb c 3\n"), { edges: [["a", "b"], ["b", "c"]] },
      { edges: Int32Array.of(0, 1, 1, 2), numNodes: 3 }];
    for (const input of inputs) {
      const graph = await ga.graph(input, { directed: false });
      equal((await graph.get("indices")).data.length, 4, "edges both ways");
      outputs.push((await attn.attend(graph, x)).output);
      if (!(input.edges instanceof Int32Array)) equal(await graph.get("names"), ["a", "b", "c"], "names");
      const again = await ga.load(await graph.save());
      equal(again.type, "NeighborGraph", "a graph that was saved");
    }
    for (const output of outputs) equal(output, outputs[0], "the same graph");
    equal((await (await ga.graph({ edges: [["a", "b"]] })).get("indices")).data.length, 1, "directed by default");
    await rejects(ga.graph({ nodes, links: [{ from: "a" }] }), "invalid_config", { argument: "graph.links[0]" });
    await rejects(ga.graph("{\"nodes\": 3"), "load_error");
    equal((await (await ga.knn([[0], [1], [3]], 1)).get("indices")).data.join(), "1,0,1", "neighbours");
  },

  "the largest weights, computed inside": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 1, scale: 1 });
    const keys = [[0], [3], [1], [2]];
    const { indices, weights } = await attn.attentionWeights([[1], [-1]], keys, { topK: 2 });
    equal([indices.data.constructor.name, indices.shape, [...indices.data]], ["Int32Array", [2, 2], [1, 3, 0, 2]], "indices");
    const all = await attn.attentionWeights([[1], [-1]], keys);
    equal([...weights.data], [all.data[1], all.data[3], all.data[4], all.data[6]], "weights");
    const both = await attn.forward([1], keys, keys, { topK: 1 });
    equal([both.output.shape, both.indices.data[0], both.weights.shape], [[1], 1, [1]], "with the output");
    await rejects(attn.attentionWeights([1], keys, { topK: 5 }), "invalid_config", { argument: "topK" });
  },

  "what is saved loads, and mappings are data where a function says so": async (ga) => {
    const codec = await ga.compression.Quantizer({ bits: 8 });
    const x = { data: Float32Array.of(1, -2, 3, 4), shape: [2, 2] };
    const packed = await codec.encode(x);
    const again = await ga.load(await packed.save());
    equal(await again.decode(), await packed.decode(), "a compressed array that was saved");
    const adam = await ga.training.Adam({ lr: 0.1 });
    const state = await adam.init({ w: x });
    const [params] = await adam.update({ w: x }, { w: x }, state);
    ok(params.w.data[0] < 1, "a step down");
    const layers = await ga.compression.Hierarchical({ 0: codec });
    equal(layers.type, "Hierarchical", "codecs by layer");
    equal((await ga.geometry.fromConfig({ type: "poincare", curvature: -2 })).fields.curvature, -2, "from a config");
  },
};
