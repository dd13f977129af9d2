import { AttentionError, invalid, look } from "../errors.js";
import { attend, fitMask, leadOf, matrixOf, overflow, tail } from "./core.js";
import { offsets, refuseNonFinite } from "./hyperbolic.js";
import { sizeOf, type Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Attended, Data, Mask, Output } from "./types.js";

export interface LocalGlobalOptions {
  /** Largest |i - j| that query i sees, 16 by default; null sees all. */
  window?: number | null;
  /** Positions of the keys that everyone sees, or their number (then the first ones); such rows see every key. */
  globalNodes?: number | readonly number[];
  /** Divides the scores; 1 by default. */
  temperature?: number;
  /** Factor of the scores; 1/√D by default. */
  scale?: number | null;
  /** Boolean or float, broadcastable to (..., M, N). */
  attnMask?: Mask | null;
  /** Also return the weights (..., M, N). */
  needWeights?: boolean;
}
const NAME = "local_global_attention";
const MOST_GLOBAL = 1_000_000;

function globalNodes(given: unknown, keys: number): number[] {
  if (given === undefined) return [];
  let nodes: unknown[];
  if (typeof given === "number") {
    if (check.whole(given, "global_nodes", 0) > MOST_GLOBAL)
      throw invalid("global_nodes", `expected a whole number >= 0 and <= ${MOST_GLOBAL}, got ${given}`);
    nodes = Array.from({ length: given }, (_x, i) => i);
  } else if (Array.isArray(given) || ArrayBuffer.isView(given)) {
    const count = look(() => (given as ArrayLike<unknown>).length, "global_nodes");
    if (count > MOST_GLOBAL) throw invalid("global_nodes", `expected at most ${MOST_GLOBAL} positions, got ${count}`);
    nodes = look(() => Array.from(given as ArrayLike<unknown>), "global_nodes");
  } else throw invalid("global_nodes", `expected a list of positions >= 0 or their number, got ${check.show(given)}`);
  if (!nodes.every((i): i is number => Number.isInteger(i) && (i as number) >= 0)) {
    throw invalid(
      "global_nodes",
      `expected a list of positions >= 0 or their number, got ${check.show(look(() => nodes.join(", "), "global_nodes"))}`,
    );
  }
  const sorted = [...new Set(nodes)].sort((a, b) => a - b);
  const last = sorted.at(-1) ?? -1;
  if (last >= keys) {
    throw new AttentionError("out_of_bounds", `global_nodes: expected positions < ${keys}, got ${last}`, {
      argument: "global_nodes",
      index: last,
      length: keys,
    });
  }
  return sorted;
}

/** Dot-product attention of each row over a window of keys around its position and a few global ones. */
export function localGlobal(
  memory: Memory,
  query: Data,
  keys: Data,
  values: Data,
  given?: LocalGlobalOptions,
): Output | Attended {
  return memory.run(() => {
    const o = check.options(given, ["window", "globalNodes", "temperature", "scale", "attnMask", "needWeights"], NAME);
    const window = given?.window === null ? null : o.window === undefined ? 16 : check.whole(o.window, "window", 0);
    const temperature = o.temperature === undefined ? 1 : check.number(o.temperature, "temperature", { above: 0 });
    const needWeights = o.needWeights !== undefined && check.flag(o.needWeights, "need_weights");
    let q = check.checkAxes(check.floats(memory, query, "query"), "query", 1);
    const k = check.checkAxes(check.matrix(memory, keys, "keys", { width: tail(q, 1) }), "keys", 2);
    const v = check.checkAxes(check.matrix(memory, values, "values", { rows: tail(k, 2) }), "values", 2);
    const all = [
      [q, "query"],
      [k, "keys"],
      [v, "values"],
    ] as const;
    all.forEach(([x, name]) => check.checkFilled(x, name));
    check.checkLength(k, "keys", -1, tail(q, 1), "the query's width");
    check.checkLength(v, "values", -2, tail(k, 2), "one value per key");
    const scale = (o.scale === undefined ? tail(q, 1) ** -0.5 : check.number(o.scale, "scale")) / temperature;
    const single = q.shape.length === 1;
    if (single) q = memory.view(q, [1, q.shape[0]!]);
    const lead = check.broadcastAll("query, keys, values", leadOf(q), leadOf(k), leadOf(v));
    const [m, n, d, e] = [tail(q, 2), tail(k, 2), tail(q, 1), tail(v, 1)];
    const mask =
      o.attnMask === undefined ? null : fitMask(memory, check.mask(memory, o.attnMask), [...lead, m, n], single);
    const nodes = globalNodes(o.globalNodes, n);
    const shape = (last: number): number[] => [...lead, ...(single ? [] : [m]), last];
    if (window === null) {
      refuseNonFinite(memory, all);
      const { out, weights } = attend(memory, { q, k, v, mask, causal: false, scale, lead }, NAME, {
        weights: needWeights,
      });
      const output = matrixOf(memory, out, shape(e));
      return needWeights ? { output, weights: matrixOf(memory, weights!, shape(n)) } : output;
    }
    const out = memory.zeros([...lead, m, e]);
    const weights = needWeights ? memory.zeros([...lead, m, n]) : null;
    const [qAt, kAt, vAt] = [
      offsets(lead, leadOf(q), m * d),
      offsets(lead, leadOf(k), n * d),
      offsets(lead, leadOf(v), n * e),
    ];
    const maskAt = mask === null ? [] : offsets(lead, leadOf(mask), tail(mask, 2) * tail(mask, 1));
    let pattern: Pattern | null = null;
    for (let batch = 0; batch < sizeOf(lead); batch++) {
      const hidden =
        mask === null
          ? null
          : (i: number, j: number): number => {
              const at = maskAt[batch]! + (tail(mask, 2) === 1 ? 0 : i * tail(mask, 1)) + (tail(mask, 1) === 1 ? 0 : j);
              return mask.kind === "float32"
                ? memory.f32[(mask.data >> 2) + at]!
                : memory.u8[mask.data + at] !== 0
                  ? 0
                  : -Infinity;
            };
      if (pattern === null || hidden !== null) pattern = rowPattern(m, n, window, nodes, hidden);
      if (pattern.indices.length === 0) continue;
      memory.run(() => {
        const { indices, starts, added } = pattern!;
        const index = check.indices(memory, indices, "indices");
        const start = check.rowStarts(memory, starts, indices.length);
        const bias = mask?.kind === "float32" ? check.floats(memory, added, "attn_mask") : null;
        const some = needWeights ? memory.room([indices.length]) : null;
        const to = memory.view(out, [m, e], undefined, batch * m * e);
        const finite = memory.must(
          "graph_attend",
          memory.view(q, [m, d], undefined, qAt[batch]),
          memory.view(k, [n, d], undefined, kAt[batch]),
          memory.view(v, [n, e], undefined, vAt[batch]),
          start,
          index,
          bias,
          null,
          null,
          null,
          to,
          some,
          null,
          scale,
          false,
          false,
        );
        if (!finite) {
          refuseNonFinite(memory, all);
          throw overflow(NAME);
        }
        if (some === null) return;
        for (let i = 0; i < m; i++) {
          for (let at = starts[i]!; at < starts[i + 1]!; at++) {
            memory.f32[(weights!.data >> 2) + (batch * m + i) * n + indices[at]!] = memory.f32[(some.data >> 2) + at]!;
          }
        }
      });
    }
    const output = matrixOf(memory, out, shape(e));
    return weights === null ? output : { output, weights: matrixOf(memory, weights, shape(n)) };
  });
}

interface Pattern {
  starts: Int32Array;
  indices: Int32Array;
  /** What the mask adds to each. */
  added: Float32Array;
}

/** Which keys each row sees, as CSR lists; what the mask hides is left out. */
function rowPattern(
  m: number,
  n: number,
  window: number,
  nodes: readonly number[],
  mask: ((i: number, j: number) => number) | null,
): Pattern {
  const global = new Set(nodes);
  const bounds = (i: number): [low: number, high: number] => {
    if (global.has(i)) return [0, n];
    const low = Math.min(Math.max(i - window, 0), n);
    return [low, Math.max(Math.min(i + window + 1, n), low)];
  };
  let most = 0;
  for (let i = 0; i < m; i++) most += bounds(i)[1] - bounds(i)[0] + nodes.length;
  if (most >= 2 ** 31) {
    throw new AttentionError("out_of_memory", `out of memory: ${most} pairs are seen`, { actual: most });
  }
  const starts = new Int32Array(m + 1);
  const indices = new Int32Array(most);
  const added = new Float32Array(mask === null ? 0 : most);
  let at = 0;
  const see = (i: number, j: number): void => {
    if (mask !== null) {
      const value = mask(i, j);
      if (value === -Infinity) return;
      added[at] = value;
    }
    indices[at++] = j;
  };
  for (let i = 0; i < m; i++) {
    const [low, high] = bounds(i);
    let next = 0;
    for (; next < nodes.length && nodes[next]! < low; next++) see(i, nodes[next]!);
    for (let j = low; j < high; j++) see(i, j);
    for (; next < nodes.length; next++) if (nodes[next]! >= high) see(i, nodes[next]!);
    starts[i + 1] = at;
  }
  return { starts, indices: indices.subarray(0, at), added: added.subarray(0, mask === null ? 0 : at) };
}
