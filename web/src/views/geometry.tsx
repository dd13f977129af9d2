// The same tree in Euclidean, hyperbolic and spherical space, with the distortion of its distances.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { nodeOf, sources, type Graph } from "../graph.js";
import { digits } from "../words.js";
import { Behind, Card, Slider, type Seen } from "./bits.js";
import { between, mobius, type Point } from "./spaces.js";

const SIDE = 320,
  HALF = 150,
  MOST = 120,
  PAIRS = 4000;
type Kind = "euclidean" | "poincare" | "lorentz" | "sphere";
const TITLES: Record<Kind, string> = {
  euclidean: "Flat (Euclidean)",
  poincare: "Hyperbolic: Poincaré disk",
  lorentz: "Hyperbolic: Lorentz hyperboloid",
  sphere: "Sphere",
};

/** Return the tree of shortest paths from a root: nodes in order, with parent and depth. */
export interface Tree {
  nodes: number[];
  parent: number[];
  depth: number[];
}

export function treeFrom(graph: Graph, root: number): Tree {
  const near: number[][] = graph.nodes.map(() => []);
  const from = sources(graph);
  graph.indices.forEach((to, e) => {
    near[from[e]!]!.push(to);
    near[to]!.push(from[e]!);
  });
  const tree: Tree = { nodes: [root], parent: [-1], depth: [0] },
    seen = new Set([root]);
  for (let i = 0; i < tree.nodes.length && tree.nodes.length < MOST; i++) {
    for (const next of near[tree.nodes[i]!]!) {
      if (seen.has(next) || tree.nodes.length >= MOST) continue;
      seen.add(next);
      tree.nodes.push(next);
      tree.parent.push(i);
      tree.depth.push(tree.depth[i]! + 1);
    }
  }
  return tree;
}

/** Return the number of leaves under every node, and its children. */
function grown({ nodes, parent }: Tree): { leaves: number[]; children: number[][] } {
  const leaves = nodes.map(() => 0),
    children = nodes.map((): number[] => []);
  for (let i = nodes.length - 1; i >= 0; i--) {
    if (children[i]!.length === 0) leaves[i] = 1;
    if (parent[i]! >= 0) {
      leaves[parent[i]!]! += leaves[i]!;
      children[parent[i]!]!.unshift(i);
    }
  }
  return { leaves, children };
}

/** Return every node's direction from the root; each branch gets a share of the circle by its leaves. */
function angles(tree: Tree): number[] {
  const { leaves, children } = grown(tree),
    from = tree.nodes.map(() => 0);
  return tree.nodes.map((_, i) => {
    let at = from[i]!;
    for (const child of children[i]!) {
      from[child] = at;
      at += leaves[child]!;
    }
    return (2 * Math.PI * (from[i]! + leaves[i]! / 2)) / leaves[0]!;
  });
}

/** Embed by Sarkar's construction in the Poincaré disk: every node's neighbours share the full circle, one step away. */
function around(tree: Tree, edge: number): Point[] {
  const { leaves, children } = grown(tree),
    out: Point[] = tree.nodes.map(() => [0, 0]),
    reach = Math.tanh(edge / 2);
  tree.nodes.forEach((_, i) => {
    const p = out[i]!,
      root = tree.parent[i]! < 0,
      back = root
        ? [1, 0]
        : mobius(
            p.map((x) => -x),
            out[tree.parent[i]!]!,
          );
    const whole = leaves[i]! + (root ? 0 : 1);
    let at = root ? 0 : 0.5;
    for (const child of children[i]!) {
      const angle = Math.atan2(back[1]!, back[0]!) + (2 * Math.PI * (at + leaves[child]! / 2)) / whole;
      out[child] = mobius(p, [reach * Math.cos(angle), reach * Math.sin(angle)]);
      at += leaves[child]!;
    }
  });
  return out;
}

/** Return the tree's points; every edge has the same length in the space's metric. */
export function embed(tree: Tree, kind: Kind, edge: number): Point[] {
  if (kind === "poincare") return around(tree, edge);
  if (kind === "lorentz")
    return around(tree, edge).map((p) => {
      const n = p[0]! ** 2 + p[1]! ** 2;
      return [(1 + n) / (1 - n), (2 * p[0]!) / (1 - n), (2 * p[1]!) / (1 - n)];
    });
  const direction = angles(tree),
    deepest = Math.max(...tree.depth, 1);
  return tree.nodes.map((_, i) => {
    const [c, s] = [Math.cos(direction[i]!), Math.sin(direction[i]!)],
      depth = tree.depth[i]!;
    if (kind === "euclidean") return [depth * edge * c, depth * edge * s];
    const t = depth * Math.min(edge, (0.9 * Math.PI) / deepest);
    return [Math.cos(t), Math.sin(t) * c, Math.sin(t) * s];
  });
}

export function distance(kind: Kind, x: Point, y: Point): number {
  switch (kind) {
    case "euclidean":
      return Math.hypot(x[0]! - y[0]!, x[1]! - y[1]!);
    case "poincare":
      return (
        2 *
        Math.atanh(
          Math.min(
            1 - 1e-15,
            Math.hypot(
              ...mobius(
                x.map((v) => -v),
                y,
              ),
            ),
          ),
        )
      );
    case "lorentz":
      return Math.acosh(Math.max(1, x[0]! * y[0]! - x[1]! * y[1]! - x[2]! * y[2]!));
    case "sphere":
      return Math.acos(Math.max(-1, Math.min(1, x[0]! * y[0]! + x[1]! * y[1]! + x[2]! * y[2]!)));
  }
}

/** Return the mean of |d / (scale · d_tree) − 1| over pairs, with the best scale on average. */
export function distortion(tree: Tree, kind: Kind, points: readonly Point[]): number {
  const ratios: number[] = [],
    n = tree.nodes.length,
    skip = Math.max(1, Math.floor((n * (n - 1)) / 2 / PAIRS));
  let count = 0;
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++)
      if (count++ % skip === 0) ratios.push(distance(kind, points[i]!, points[j]!) / inTree(tree, i, j));
  const scale = ratios.reduce((a, b) => a + b, 0) / ratios.length;
  return ratios.reduce((sum, r) => sum + Math.abs(r / scale - 1), 0) / ratios.length;
}

function inTree({ parent, depth }: Tree, i: number, j: number): number {
  let [a, b, steps] = [i, j, 0];
  while (a !== b) {
    if (depth[a]! >= depth[b]!) a = parent[a]!;
    else b = parent[b]!;
    steps++;
  }
  return steps;
}

/** Return the place of a point in the picture. */
function place(kind: Kind, p: Point, reach: number): [number, number] {
  if (kind === "euclidean") return [p[0]! / reach, p[1]! / reach];
  if (kind === "poincare") return [p[0]!, p[1]!];
  if (kind === "lorentz")
    return [
      (0.92 * Math.tanh(Math.asinh(Math.hypot(p[1]!, p[2]!)) / 3) * p[1]!) / Math.max(Math.hypot(p[1]!, p[2]!), 1e-12),
      (0.92 * Math.tanh(Math.asinh(Math.hypot(p[1]!, p[2]!)) / 3) * p[2]!) / Math.max(Math.hypot(p[1]!, p[2]!), 1e-12),
    ];
  return [p[1]!, p[2]!];
}

function way(kind: Kind, a: Point, b: Point, t: number): Point {
  if (kind === "euclidean") return between("plane", a, b, t);
  if (kind === "poincare") return between("disk", a, b, t);
  if (kind === "sphere") return between("sphere", a, b, t);
  const d = distance("lorentz", a, b);
  return d < 1e-9 ? a : a.map((x, i) => (Math.sinh((1 - t) * d) * x + Math.sinh(t * d) * b[i]!) / Math.sinh(d));
}

export function GeometryView({ session, graph }: Seen): JSX.Element {
  const { step: edge } = session.state;
  const root = nodeOf(graph, session.state.node);
  const tree = useMemo(() => treeFrom(graph, root), [graph, root]);
  const kinds: Kind[] = ["euclidean", "poincare", "lorentz", "sphere"];
  const found = useMemo(
    () =>
      kinds.map((kind) => {
        const points = embed(tree, kind, edge);
        return { kind, points, error: distortion(tree, kind, points) };
      }),
    [tree, edge],
  );
  const target = Math.max(0, tree.nodes.indexOf(graph.nodes.indexOf(session.state.to)));
  const far = target > 0 ? target : tree.nodes.length - 1,
    other = tree.nodes.length > 2 ? 1 : 0;
  const best = found.reduce((a, b) => (b.error < a.error ? b : a));
  return (
    <div class="wide">
      <Card
        id="geometry"
        heading={`The ways from ${graph.nodes[root]}, in four spaces`}
        help={`The tree of shortest ways from ${graph.nodes[root]} (${tree.nodes.length} nodes), drawn with equal steps along every ray. The longer a step against the curvature, the more the space bends within the picture. The distortion is how far distances are from the tree's, on average, after the best scaling.`}
      >
        <Slider
          id="edge-length"
          label="Length of a step × √curvature"
          value={edge}
          low={0.1}
          high={4}
          factors
          set={(step) => session.change({ step })}
          text={`${edge}, curvature ${digits(edge * edge)} for steps of length one`}
        />
        <p
          class="reason"
          role="status"
        >{`Least distortion: ${TITLES[best.kind]}, ${digits(100 * best.error)} %. ${best.kind === "poincare" || best.kind === "lorentz" ? "Both hyperbolic pictures show the same space. A tree fits because the rim has room for all branches." : "With short steps hyperbolic space is still nearly flat: lengthen them."}`}</p>
        <div class="grid">
          {found.map(({ kind, points, error }) => {
            const reach = Math.max(...points.map((p) => Math.hypot(p[0]!, p[1]!)), 1e-9),
              at = (p: Point): string =>
                place(kind, p, reach)
                  .map((v) => (SIDE / 2 + v * HALF).toFixed(1))
                  .join(",");
            const line = (a: Point, b: Point): string =>
              Array.from({ length: 17 }, (_, i) => at(way(kind, a, b, i / 16))).join(" ");
            const [mx, my] = at(way(kind, points[other]!, points[far]!, 0.5)).split(",");
            return (
              <figure>
                <svg
                  {...(kind === "poincare" ? { "data-picture": "" } : {})}
                  class="chart"
                  viewBox={`0 0 ${SIDE} ${SIDE}`}
                  role="img"
                  aria-label={`${TITLES[kind]}, distortion ${digits(100 * error)} %`}
                >
                  <circle class="space" cx={SIDE / 2} cy={SIDE / 2} r={HALF} />
                  {points.map((p, i) =>
                    i === 0 ? null : <polyline class="edge" opacity={0.6} points={line(points[tree.parent[i]!]!, p)} />,
                  )}
                  <polyline class="edge mine" stroke-width={2} points={line(points[other]!, points[far]!)} />
                  {points.map((p, i) => (
                    <circle
                      class={`dot${i === 0 ? " mine" : ""}`}
                      cx={at(p).split(",")[0]}
                      cy={at(p).split(",")[1]}
                      r={i === 0 ? 6 : 3.2}
                      opacity={kind === "sphere" && p[0]! < 0 ? 0.35 : 1} // on the far side
                    >
                      <title>{graph.nodes[tree.nodes[i]!]}</title>
                    </circle>
                  ))}
                  <circle class="dot near" cx={mx} cy={my} r={5}>
                    <title>midpoint</title>
                  </circle>
                </svg>
                <figcaption>
                  <strong>{TITLES[kind]}</strong>
                  <br />
                  <span class="help" data-kind={kind} data-distortion={error}>
                    distortion {digits(100 * error)} %
                  </span>
                </figcaption>
              </figure>
            );
          })}
        </div>
        <p class="help">{`The orange line is the shortest way between ${graph.nodes[tree.nodes[other]!]} and ${graph.nodes[tree.nodes[far]!]}, with its midpoint: in hyperbolic space it bends towards the root, as ways in a tree do. Pale points of the sphere are on its far side.`}</p>
        <Behind
          what="Distances"
          head={["Node", "Steps", ...kinds.map((k) => TITLES[k])]}
          rows={() =>
            tree.nodes.map((n, i) => [
              graph.nodes[n]!,
              tree.depth[i]!,
              ...found.map(({ kind, points }) => digits(distance(kind, points[0]!, points[i]!))),
            ])
          }
        />
      </Card>
    </div>
  );
}
