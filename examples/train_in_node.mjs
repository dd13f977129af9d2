// Train in JavaScript, load in Python.
//
// The same lines run in a page. A mechanism is trained on the karate club over Python in WebAssembly and saved as the bytes of an `.npz`
// file, which holds numbers and options and no code. Python opens it, without JavaScript: examples/load_trained.py.
//
//   node train_in_node.mjs [MODEL.npz]
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "graphattend";

const data = new URL("data/", import.meta.url);
const table = async (name) =>
  (await readFile(new URL(name, data), "utf8"))
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
const pairs = (await table("karate.csv")).map((pair) => pair.map(Number));
const party = (await table("karate_parties.csv")).map(([, name]) => Number(name === "Officer"));

const self = party.map((_, i) => [i, i]);
const graph = { edges: [...pairs, ...pairs.map(([a, b]) => [b, a]), ...self], numNodes: party.length };
const features = party.map((_, i) => Float32Array.from(party, (_, j) => Number(i === j)));
for (const [a, b] of pairs) features[a][b] = features[b][a] = 1;

const ga = await connect(process.env.PYODIDE ? { indexURL: process.env.PYODIDE } : {});
const options = { dim: party.length, numHeads: 2, headDim: 2, concat: false, seed: 1 };
const attention = await ga.create("edge_featured", options);
const trained = await ga.train(attention, { graph, features, labels: party, nodes: [0, 33], epochs: 100, lr: 0.02 });
const { output } = await trained.attention.attend(graph, features);
const right = party.filter((p, i) => Number(output.data[2 * i + 1] > output.data[2 * i]) === p).length;
console.log(`${right} of ${party.length} members in their party`);
await writeFile(process.argv[2] ?? "karate.npz", await trained.attention.save());
await ga.close();
