// Training in the page, epoch by epoch: loss, score, and the moving nodes.

import type { AttentionFor } from "graphattend";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { nodeOf, sources, type Graph } from "../graph.js";
import { HEADS, WIDTH, type GatLayer } from "../train/gat.js";
import { Labels, Links, PoincareEmbedding, type Epoch, type Task, type TaskName } from "../train/tasks.js";
import { digits, message, percent } from "../words.js";
import { Behind, Card, Select, Slider, type Seen } from "./bits.js";
import { save } from "./share.js";

const SIDE = 420,
  MOST_EPOCHS = 200,
  SEED = 2,
  MOST_RUNS = 4,
  MOST_JOINS = 6000,
  MOST_BYTES = 16 << 20;
const ABOUT: Record<TaskName, string> = {
  labels:
    "A graph attention layer (GAT, four heads) and a softmax learn the class of all nodes from a fifth of them. Every corner of the picture stands for a class.",
  links:
    "A graph attention layer learns vectors whose products are large for joined nodes. A seventh of the edges is held out to test it.",
  poincare:
    "Every node is a point of the Poincaré disk. Neighbours are pulled together, random others pushed apart (Nickel & Kiela 2017): hierarchies grow from the middle to the rim.",
};

interface Run {
  name: string;
  epochs: Epoch[];
}

export function TrainView({ session, graph }: Seen): JSX.Element {
  const { task: name, rate: lr } = session.state;
  const [task, setTask] = useState<Task>();
  const [epochs, setEpochs] = useState<Epoch[]>([]);
  const [running, setRunning] = useState(false);
  const [runs, setRuns] = useState<Run[]>([]);
  const [said, say] = useState("");
  const request = useRef(0);
  const k = session.kernels?.k,
    wanted: TaskName = name === "labels" && graph.labels === null ? "links" : name;
  const node = nodeOf(graph, session.state.node);
  useEffect(() => reset(), [graph, wanted, lr]);
  const first = useMemo(
    () => (task?.layer === undefined ? undefined : task.layer.row(node, task.layer.forward().weights)),
    [task, node],
  );
  const reset = (): void => {
    setTask(undefined);
    setEpochs([]);
    setRunning(false);
  };
  const made = (anew = false): Task | undefined => {
    if (task !== undefined && !anew) return task;
    if (wanted === "poincare") return new PoincareEmbedding(graph, 20 * lr, SEED);
    if (k === undefined || graph.latents.length === 0) return undefined;
    return wanted === "labels" ? new Labels(k, graph, lr, SEED) : new Links(k, graph, lr, SEED);
  };
  const step = (): void => {
    const current = made();
    if (current === undefined) return say("Latent vectors come with Python, which is starting.");
    setTask(current);
    const found = current.epoch();
    setEpochs((known) => [...known, found]);
    if (!Number.isFinite(found.loss)) setRunning(false);
  };
  useEffect(() => {
    if (!running) return undefined;
    if (epochs.length >= MOST_EPOCHS) return setRunning(false);
    request.current = requestAnimationFrame(step);
    return () => cancelAnimationFrame(request.current);
  }, [running, epochs]);
  const load = async (file: File): Promise<void> => {
    try {
      const p = await loaded(session, graph, file);
      reset();
      const fresh = made(true);
      fresh?.resume?.(p);
      setTask(fresh);
      say(`${file.name} loaded. ${wanted === "labels" ? "The read-out of the classes starts anew." : ""}`);
    } catch (error) {
      say(`${file.name.slice(0, 80)}: ${message(error).slice(0, 300)}`);
    }
  };
  const keep = (): void => setRuns((known) => [...known, { name: `${wanted}, rate ${lr}`, epochs }].slice(-MOST_RUNS));
  const last = epochs.at(-1),
    now =
      task?.layer === undefined || first === undefined ? undefined : task.layer.row(node, task.layer.forward().weights);
  return (
    <>
      <div class="center">
        <section id="graph" aria-label="Learning">
          <div class="row wrap two">
            <Select
              id="task"
              label="Task"
              value={wanted}
              pick={(task) => session.change({ task })}
              choices={[
                {
                  value: "labels",
                  name: "Classes of nodes",
                  off: graph.labels === null,
                  why: "The nodes of this graph have no classes",
                },
                { value: "links", name: "Links" },
                { value: "poincare", name: "Poincaré embedding" },
              ]}
            />
          </div>
          <p class="help">{ABOUT[wanted]}</p>
          <div class="row wrap">
            <button
              type="button"
              class="quiet go"
              disabled={epochs.length >= MOST_EPOCHS}
              onClick={() => {
                if (running) setRunning(false);
                else {
                  step();
                  setRunning(true);
                }
              }}
            >
              {running ? "Pause" : epochs.length === 0 ? "Start" : "Go on"}
            </button>
            <button type="button" class="quiet" disabled={running} onClick={step}>
              One epoch
            </button>
            <button type="button" class="quiet" disabled={epochs.length === 0} onClick={reset}>
              Cancel
            </button>
            <button type="button" class="quiet" disabled={epochs.length === 0 || running} onClick={keep}>
              Keep to compare
            </button>
            {task?.layer === undefined ? null : (
              <button
                type="button"
                class="quiet"
                disabled={running || session.python === undefined}
                onClick={() => void saved(session, graph, task).then(say, (e: unknown) => say(message(e)))}
              >
                Save the model
              </button>
            )}
            {wanted === "poincare" ? null : (
              <label class="button">
                Load a model
                <input
                  type="file"
                  id="model-file"
                  accept=".npz,.safetensors"
                  disabled={running || session.python === undefined}
                  onChange={(e) => {
                    const file = e.currentTarget.files?.[0];
                    e.currentTarget.value = "";
                    if (file !== undefined) void load(file);
                  }}
                />
              </label>
            )}
          </div>
          <p id="train-state" role="status" data-epochs={epochs.length} data-loss={last?.loss} data-score={last?.score}>
            {last === undefined
              ? "Not started."
              : `Epoch ${epochs.length}: loss ${digits(last.loss)}, ${task!.scored} ${percent(last.score)}.`}{" "}
            {said}
          </p>
          <Places task={task} epochs={epochs.length} graph={graph} disk={wanted === "poincare"} node={node} />
        </section>
      </div>
      <div class="column">
        <Card id="curves" heading="Loss and score">
          <Slider
            id="rate"
            label="Learning rate"
            value={lr}
            low={0.001}
            high={0.2}
            factors
            set={(rate) => session.change({ rate })}
            help="A new rate starts anew."
          />
          <Curves runs={[...runs, { name: "this run", epochs }]} />
          <Behind
            what="The run"
            head={["Epoch", "Loss", "Score"]}
            rows={() => epochs.map((e, i) => [i + 1, digits(e.loss, 4), digits(e.score, 4)])}
          />
        </Card>
        {first === undefined || now === undefined ? null : (
          <Card id="before-after" heading={`${graph.nodes[node]}'s attention, before and after`}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Neighbour</th>
                  <th scope="col" class="n">
                    Before
                  </th>
                  <th scope="col" class="n">
                    Now
                  </th>
                </tr>
              </thead>
              <tbody>
                {[...now]
                  .sort((a, b) => b[1] - a[1])
                  .slice(0, 8)
                  .map(([to, w]) => (
                    <tr>
                      <th scope="row">{to === node ? "itself" : graph.nodes[to]}</th>
                      <td class="n">{percent(first.get(to) ?? 0)}</td>
                      <td class="n">{percent(w)}</td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </Card>
        )}
      </div>
    </>
  );
}

function Places({
  task,
  epochs,
  graph,
  disk,
  node,
}: {
  task: Task | undefined;
  epochs: number;
  graph: Graph;
  disk: boolean;
  node: number;
}): JSX.Element {
  const places = useMemo(
    () =>
      task?.places() ??
      graph.nodes.map((_, i): [number, number] => [
        1.7 * (graph.positions[2 * i] ?? 0.5) - 0.85,
        1.7 * (graph.positions[2 * i + 1] ?? 0.5) - 0.85,
      ]),
    [task, epochs, graph, graph.positions],
  );
  const at = (i: number): [string, string] => {
    const [x, y] = places[i]!;
    return [(SIDE / 2 + x * (SIDE / 2 - 10)).toFixed(1), (SIDE / 2 + y * (SIDE / 2 - 10)).toFixed(1)];
  };
  const joins = useMemo(() => {
    if (graph.indices.length > MOST_JOINS) return "";
    const from = sources(graph);
    return graph.indices.map((to, e) => `M${at(from[e]!).join(" ")}L${at(to).join(" ")}`).join("");
  }, [places, graph]);
  const groups = useMemo(() => [...new Set(graph.labels ?? [])], [graph]);
  const told = task instanceof Labels ? task.told : undefined;
  return (
    <svg data-picture="" class="chart" viewBox={`0 0 ${SIDE} ${SIDE}`} role="img" aria-label="Where the nodes are">
      {disk ? <circle class="space" cx={SIDE / 2} cy={SIDE / 2} r={SIDE / 2 - 10} /> : null}
      <path class="joins" d={joins} />
      {places.map((_, i) => (
        <circle
          class={`dot${i === node ? " mine" : ""}${graph.labels === null ? "" : ` group-${groups.indexOf(graph.labels[i]!) % 8}`}${told?.has(i) === true ? " near" : ""}`}
          cx={at(i)[0]}
          cy={at(i)[1]}
          r={told?.has(i) === true ? 7 : 4.5}
        >
          <title>{graph.nodes[i]}</title>
        </circle>
      ))}
    </svg>
  );
}

function Curves({ runs }: { runs: readonly Run[] }): JSX.Element {
  const [w, h, left] = [340, 150, 34];
  const longest = Math.max(10, ...runs.map((r) => r.epochs.length)),
    most = Math.max(1e-9, ...runs.flatMap((r) => r.epochs.map((e) => e.loss)).filter(Number.isFinite));
  const line = (values: number[], top: number): string =>
    values
      .map(
        (v, i) =>
          `${(left + ((w - left) * i) / (longest - 1)).toFixed(1)},${(h - 14 - (h - 24) * Math.min(1, Math.max(0, v / top))).toFixed(1)}`,
      )
      .join(" ");
  return (
    <svg class="chart" viewBox={`0 0 ${w} ${h}`} role="img" aria-label="Loss and score by epoch">
      <line class="grid-line" x1={left} x2={w} y1={h - 14} y2={h - 14} />
      <text x={left - 4} y={14} text-anchor="end">
        {most > 1e-9 ? digits(most, 2) : ""}
      </text>
      <text x={left - 4} y={h - 12} text-anchor="end">
        0
      </text>
      <text x={w} y={h - 2} text-anchor="end">
        {longest} epochs
      </text>
      {runs.map((r, i) => (
        <g opacity={i === runs.length - 1 ? 1 : 0.35}>
          <polyline
            class="line a"
            points={line(
              r.epochs.map((e) => e.loss),
              most,
            )}
          >
            <title>{r.name}: loss</title>
          </polyline>
          <polyline
            class="line b"
            stroke-dasharray="5 3"
            points={line(
              r.epochs.map((e) => e.score),
              1,
            )}
          >
            <title>{r.name}: score</title>
          </polyline>
        </g>
      ))}
      <text x={left + 8} y={14}>
        orange: loss; blue, dashed: score of 1
      </text>
    </svg>
  );
}

/** Read the parameters of a layer that `saved` or Python wrote. */
async function loaded({ python }: Seen["session"], graph: Graph, file: File): Promise<GatLayer["p"]> {
  if (file.size > MOST_BYTES) throw new Error("is larger than a layer of this page");
  const attention = await python!.ga.load<AttentionFor<"edge_featured">>(new Uint8Array(await file.arrayBuffer()));
  try {
    if (attention.key !== "edge_featured") throw new Error("expected graph attention (edge_featured)");
    const found = (await attention.parameters()) as Partial<Record<string, { shape: number[]; data: Float32Array }>>;
    const part = (name: string, ...shape: number[]): Float32Array => {
      const p = found[name];
      if (p === undefined || String(p.shape) !== String(shape))
        throw new Error(`expected ${name} of shape ${shape.join(" × ")}, got ${p?.shape.join(" × ") ?? "none"}`);
      return Float32Array.from(p.data);
    };
    return {
      w: part("w", HEADS, graph.dim, WIDTH),
      aQuery: part("a_query", HEADS, WIDTH),
      aKey: part("a_key", HEADS, WIDTH),
      bias: part("bias", HEADS * WIDTH),
    };
  } finally {
    await attention.free();
  }
}

/** Return the layer as a file for Python's graphattend.load. */
async function saved({ python }: Seen["session"], graph: Graph, task: Task): Promise<string> {
  const { p } = task.layer!;
  const fresh = await python!.ga.create("edge_featured", {
    dim: graph.dim,
    numHeads: HEADS,
    headDim: WIDTH,
    addSelfLoops: true,
  });
  const trained = await fresh.withParameters({
    w: { data: p.w, shape: [HEADS, graph.dim, WIDTH] },
    a_query: { data: p.aQuery, shape: [HEADS, WIDTH] },
    a_key: { data: p.aKey, shape: [HEADS, WIDTH] },
    bias: p.bias,
  });
  const bytes = await trained.save();
  await Promise.all([fresh.free(), trained.free()]);
  return save("attention.npz", "application/octet-stream", bytes);
}
