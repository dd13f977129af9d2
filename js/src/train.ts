import { Attention, type AttentionFor } from "./attention.js";
import type { Backend } from "./backend.js";
import { Owned, type Described } from "./objects.js";
import type { LossName, MechanismKey, Optimizer, OptimizerName, Schedule } from "./schema.js";
import type { Data, Fresh, GraphData, Matrix } from "./types.js";
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
  /**
   * A loss of `training` by its Python name, or a function of the outputs and the nodes of a batch that gives the loss and
   * its gradient by the outputs. Default: cross_entropy with labels, reconstruction with targets.
   */
  loss?: LossName | LossFunction;
  /** By name, or made by `training.Adam({ … })` and the like. Default: Adam. */
  optimizer?: Exclude<OptimizerName, `Riemannian${string}`> | Optimizer;
  /** A rate or one of `training.schedules`; default: the optimizer's. */
  lr?: number | Schedule;
  epochs?: number;
  batchSize?: number;
  seed?: number;
  shuffle?: boolean;
  /** Nodes that are held out: the best parameters are those that are best for them. */
  validationNodes?: Data;
  /** What is measured there. Default: the loss. */
  metric?: "loss" | "accuracy";
  /** Epochs between validations. */
  validateEvery?: number;
  /** Validations (epochs, without `validationNodes`) in a row without a better value until the run ends. */
  patience?: number;
  minDelta?: number;
  /** Limits of the norm of all gradients together, and of each entry. */
  clipNorm?: number;
  clipValue?: number;
  /** Called after every few steps. */
  onProgress?: (progress: TrainProgress) => void;
  /** Called with the bytes of a file after every `checkpointEvery` epochs at most; `resume` goes on from them. */
  onCheckpoint?: (bytes: Fresh<Uint8Array>) => void;
  checkpointEvery?: number;
  resume?: Uint8Array;
  /** Ends the run after the steps that are running; the result is what was learned so far. */
  signal?: AbortSignal;
}

/** The loss of the nodes of a batch, and its gradient by all outputs (V, E). */
export type LossFunction = (output: Matrix, nodes: Matrix<Int32Array>) => LossAnswer | Promise<LossAnswer>;
export interface LossAnswer {
  loss: number;
  gradient: Data;
}

export interface TrainResult<K extends MechanismKey> {
  /** A new mechanism with the best parameters; the one that was given stays as it is. */
  attention: AttentionFor<K>;
  /** Mean loss of every epoch. */
  losses: number[];
  /** Epoch and value of every validation. */
  metrics: [number, number][];
  /** The best value, and the epoch it comes from. */
  best: number | null;
  bestEpoch: number | null;
  steps: number;
  reason: "finished" | "early_stopping" | "cancelled";
}

class Run extends Owned {}

type Step = (TrainProgress & { checkpoint?: Matrix<Uint8Array> }) | null;

/** Train a mechanism over a graph, a few steps per request, so that other calls and the event loop have their turn. */
export async function train<K extends MechanismKey>(
  backend: Backend,
  attention: Attention<K>,
  options: TrainOptions,
): Promise<TrainResult<K>> {
  const {
    graph,
    features,
    labels,
    targets,
    nodes,
    validationNodes,
    resume,
    loss,
    onProgress,
    onCheckpoint,
    signal,
    ...rest
  } = options;
  const keep = backend.nextId();
  const data = [attention, graph, features, labels, targets, nodes];
  const own = { loss, checkpoints: onCheckpoint !== undefined };
  decode(
    await backend.request(
      encode("train", [...data, new Plain({ ...rest, ...own }), { validationNodes, resume }], { keep }),
      { signal },
    ),
  );
  const run = new Run(backend, keep);
  try {
    for (;;) {
      if (signal?.aborted) {
        await backend.request(encode("train_cancel", [run]), {});
        break;
      }
      const found = decode(await backend.request(encode("train_steps", [run]), {})) as Step;
      if (found === null) break;
      const { checkpoint, ...progress } = found;
      if (checkpoint !== undefined) onCheckpoint?.(checkpoint.data);
      onProgress?.(progress);
      // Let the page draw and signals arrive, also where Python runs in this thread.
      await new Promise((resolve) => setTimeout(resolve));
    }
    const id = backend.nextId();
    const found = decode(await backend.request(encode("train_result", [run], { keep: id }), {})) as {
      attention: Described;
    } & Omit<TrainResult<K>, "attention">;
    return { ...found, attention: Attention.make<K>(backend, id, found.attention) };
  } finally {
    await run.free();
  }
}
