// The layout's steps, run in a worker that reports the positions every few steps.

import { forceLink, forceManyBody, forceSimulation, forceX, forceY, type SimulationNodeDatum } from "d3-force";
import type { LayoutAsk, LayoutTold } from "./layout.js";

const worker = self as unknown as {
  onmessage: (event: MessageEvent<LayoutAsk>) => void;
  postMessage(told: LayoutTold): void;
};

worker.onmessage = ({ data: { nodes, from, to } }) => {
  const points: SimulationNodeDatum[] = Array.from({ length: nodes }, () => ({}));
  const links = Array.from(from, (source, e) => ({ source, target: to[e]! })).filter(
    ({ source, target }) => source !== target,
  );
  const large = nodes > 2000,
    steps = large ? 80 : 300;
  const simulation = forceSimulation(points)
    .stop()
    .alphaDecay(1 - 0.001 ** (1 / steps))
    .force(
      "charge",
      forceManyBody()
        .strength(-30)
        .theta(large ? 1.3 : 0.9),
    )
    .force("link", forceLink(links).distance(28).iterations(1))
    .force("x", forceX().strength(0.06))
    .force("y", forceY().strength(0.06));
  let last = performance.now();
  for (let step = 1; step <= steps; step++) {
    simulation.tick();
    const now = performance.now();
    if (step < steps && now - last < 400) continue;
    last = now;
    worker.postMessage({ positions: unitSquare(points), done: step / steps });
  }
};

function unitSquare(points: SimulationNodeDatum[]): Float32Array {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of points) {
    left = Math.min(left, x!);
    right = Math.max(right, x!);
    top = Math.min(top, y!);
    bottom = Math.max(bottom, y!);
  }
  const width = Math.max(right - left, 1e-9),
    height = Math.max(bottom - top, 1e-9);
  return Float32Array.from({ length: 2 * points.length }, (_, i) => {
    const p = points[i >> 1]!;
    return i % 2 === 0 ? (p.x! - left) / width : (p.y! - top) / height;
  });
}
