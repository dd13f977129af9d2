// The guided tour: ten states of the page, each an address with a text.

import { toHash, START, type State } from "./state.js";

interface Stop {
  heading: string;
  text: string;
  state: Partial<State>;
}

export const STOPS: readonly Stop[] = [
  {
    heading: "A graph attends",
    text: "The dots are characters of Les Misérables, joined when they share a chapter. Valjean, in orange, looks at his neighbours: the thicker a line, the more of his attention goes there. All of it together is 100 %.",
    state: {},
  },
  {
    heading: "Why that much",
    text: "Each weight is made in steps: two vectors, their product, a scale, the exponential, a share of the sum. The panel “Why” has every step with its number for Valjean and Cosette. Choose another neighbour to see its numbers.",
    state: { to: "Cosette" },
  },
  {
    heading: "Sharper and flatter",
    text: "The temperature divides the scores. It is at a quarter here: the strongest neighbours take nearly everything. Drag the slider up, and attention becomes even.",
    state: { options: { temperature: 0.25 } },
  },
  {
    heading: "Looking away",
    text: "Cosette is masked: Valjean cannot see her, and the others share what was hers in the proportions they had.",
    state: { masked: ["Cosette"] },
  },
  {
    heading: "Another geometry",
    text: "Hyperbolic attention asks who is near in curved space, not whose vector is long. Marius's nearest neighbours get most. “Why” gives the distances.",
    state: { mechanism: "hyperbolic", node: "Marius", to: "Cosette" },
  },
  {
    heading: "Side by side",
    text: "Dot products and distances on one picture. Orange lines get more now, blue ones less. Let the slider run from one mechanism to the other; below is where they disagree most.",
    state: { view: "compare", node: "Marius" },
  },
  {
    heading: "Move the points",
    text: "Here vectors are points that you can drag, or move with the arrow keys. In the Poincaré disk the rim is infinitely far away, so a small move there changes much.",
    state: { view: "move", space: "disk", node: "Marius" },
  },
  {
    heading: "A tree in the disk",
    text: "Trees grow exponentially, and so does the hyperbolic plane: it has room for every branch. The number under each picture is how far the drawn distances are from the tree's.",
    state: { view: "geometry", graph: "animals", node: "mammal" },
  },
  {
    heading: "Many heads",
    text: "Multi-head attention looks several times in parallel, each head through its own projection, and averages. Heads that agree are redundant; here they start at random.",
    state: { view: "heads", mechanism: "multi_head" },
  },
  {
    heading: "Learn to attend",
    text: "Training moves the projections until attention serves a task: from a few labels, find the party of every member of the karate club. Press Start and watch. Then open a graph of your own.",
    state: { view: "train", graph: "karate" },
  },
];

export const addressOf = (step: number): string => `#${toHash({ ...START, ...STOPS[step - 1]!.state, tour: step })}`;

export const GLOSSARY: readonly [string, string][] = [
  ["Attention", "A weighted mean of values, with weights that depend on what is looked for and what there is."],
  [
    "Query, key, value",
    "What a node looks for, what a neighbour is recognised by, and what it passes on. Here all three come from the node's latent vector.",
  ],
  [
    "Latent vector",
    "Numbers that stand for a node, such that related nodes have similar ones. Here they come from the graph's smoothest eigenvectors, unless a file brings them.",
  ],
  ["Score", "A number for a pair of nodes before the softmax; only differences within a row matter."],
  ["Softmax", "Turns scores into shares: exp(score) divided by the sum over the row."],
  ["Temperature", "Divides the scores. Small values give all to the best, large ones give all the same."],
  ["Head", "One of several attentions side by side, with projections of its own."],
  ["Mask", "Pairs that must not attend; their weight is zero."],
  ["Sparse pattern", "The pairs that may attend; all others are masked, and cost nothing."],
  ["Global position", "One that sees all others and is seen by all of them."],
  [
    "Random features",
    "Numbers φ(x) with φ(q)·φ(k) ≈ exp(q·k). Sums over keys can then be formed once for all queries: linear attention.",
  ],
  ["Distortion", "How far the distances in a picture are from those that they stand for, on average."],
  ["Bias", "What is added to a score before the softmax, for example for an edge's distance."],
  [
    "Entropy",
    "How evenly attention is spread. Its exponential is the number of neighbours that a node effectively attends to.",
  ],
  ["Poincaré ball", "Hyperbolic space drawn within a circle. Distances grow without bound towards the rim."],
  ["Curvature", "How strongly a space bends: below zero hyperbolic, zero flat, above zero a sphere."],
  [
    "HNSW",
    "An index for nearest neighbours: a pile of graphs, sparse above and dense below, that a search walks down.",
  ],
  ["Mixture of experts", "A gate sends each query to a few of several networks or mechanisms."],
];
