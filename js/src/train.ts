import { Attention, type AttentionFor } from "./attention.js";
import type { Backend } from "./backend.js";
import { aborted } from "./errors.js";
import { Owned, type Described } from "./objects.js";
import type { LossName, MechanismKey, OptimizerName, Schedule } from "./schema.js";
import type { Data, GraphData } from "./types.js";
import { decode, encode, Plain } from "./wire.js";

/** How far a training run has come. */
export interface TrainProgress {
  epoch: number;
  epochs: number;
  /** Of the epoch's batches. */
  batch: number;
  batches: number;
  step: number;
  /** Of the last step. */
  loss: number;
  /** Mean loss of the epoch, at its end. */
  epochLoss: number | null;
  /** Metric of a validation, and the best so far. */
  metric: number | null;
  best: number | null;
  /** Share of the whole that is done, 0 … 1. */
  fraction: number;
}

export interface TrainOptions {
  /** Row i lists the nodes that node i attends to. */
  graph: GraphData;
  /** (V, D) features of the nodes. */
  features: Data;
  /** (V,) class of each node: trains by cross entropy of the outputs. */
  labels?: Data;
  /** (V, E) what the outputs should be: trains by mean squared error. */
  targets?: Data;
  /** Nodes whose loss counts; all by default. */
  nodes?: Data;
  /** A loss of `training` by its Python name; default: cross_entropy with labels, reconstruction with targets. */
  loss?: LossName;
  /** Default Adam. */
  optimizer?: Exclude<OptimizerName, `Riemannian${string}`>;
  /** A rate or one of `training.schedules`; default: the optimizer's. */
  lr?: number | Schedule;
  epochs?: number;
  batchSize?: number;
  seed?: number;
  patience?: number;
  /** Called after every few steps. */
  onProgress?: (progress: TrainProgress) => void;
  /** Stops after the steps that run. */
  signal?: AbortSignal;
}

export interface TrainResult<K extends MechanismKey> {
  /** A new mechanism with the best parameters; the one that was given stays as it is. */
  attention: AttentionFor<K>;
  /** Mean loss of every epoch. */
  losses: number[];
  /** Why it ended: "finished", "early stopping" and the like. */
  reason: string;
}

class Run extends Owned {}

/** Train a mechanism over a graph, a few steps per request, so that other calls and the event loop have their turn. */
export async function train<K extends MechanismKey>(
  backend: Backend, attention: Attention<K>, options: TrainOptions,
): Promise<TrainResult<K>> {
  const { graph, features, labels, targets, nodes, onProgress, signal, ...rest } = options;
  const keep = backend.nextId();
  const data = [attention, graph, features, labels, targets, nodes];
  decode(await backend.request(encode("train", [...data, new Plain(rest)], { keep }), { signal }));
  const run = new Run(backend, keep);
  try {
    for (;;) {
      if (signal?.aborted) throw aborted(signal);
      const progress = decode(await backend.request(encode("train_steps", [run]), {})) as TrainProgress | null;
      if (progress === null) break;
      onProgress?.(progress);
      // Let the page draw and signals arrive, also where Python runs in this thread.
      await new Promise((resolve) => setTimeout(resolve));
    }
    const id = backend.nextId();
    const found = decode(await backend.request(encode("train_result", [run], { keep: id }), {})) as {
      attention: Described; losses: number[]; reason: string;
    };
    return { ...found, attention: Attention.make<K>(backend, id, found.attention) };
  } finally {
    await run.free();
  }
}
