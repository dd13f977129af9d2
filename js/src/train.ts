import { Attention, type AttentionFor } from "./attention.js";
import type { Backend } from "./backend.js";
import { invalid } from "./errors.js";
import { Owned, type Described } from "./objects.js";
import type { LossName, MechanismKey, Optimizer, OptimizerName, Schedule } from "./schema.js";
import type { Data, Fresh, GraphData, Matrix } from "./types.js";
import { decode, encode, Plain } from "./wire.js";

/** The progress of a training run. */
export interface TrainProgress {
  epoch: number;
  epochs: number;
  /** Number of the batch in its epoch. */
  batch: number;
  batches: number;
  step: number;
  /** Loss of the last step. */
  loss: number;
  /** Mean loss of the epoch; null before its end. */
  epochLoss: number | null;
  /** Metric of the last validation, and the best so far. */
  metric: number | null;
  best: number | null;
  /** Finished share of the run, 0 … 1. */
  fraction: number;
}

export interface TrainOptions {
  /** Row i lists the nodes that node i attends to. */
  graph: GraphData;
  /** Features of the nodes (V, D). */
  features: Data;
  /** Class of each node (V,); the default loss is the cross entropy. */
  labels?: Data;
  /** Target outputs (V, E); the default loss is the mean squared error. */
  targets?: Data;
  /** Indices of the training nodes; all by default. */
  nodes?: Data;
  /**
   * A loss of `training` by its Python name, or a function of the outputs and the nodes of a batch that returns the loss and
   * its gradient with respect to the outputs. Default: cross_entropy with labels, reconstruction with targets.
   */
  loss?: LossName | LossFunction;
  /** An optimizer by name, or created by `training.Adam({ … })` and similar functions. Default: Adam. */
  optimizer?: Exclude<OptimizerName, `Riemannian${string}`> | Optimizer;
  /** Learning rate, or one of `training.schedules`. Default: that of the optimizer. */
  lr?: number | Schedule;
  epochs?: number;
  batchSize?: number;
  seed?: number;
  shuffle?: boolean;
  /** Indices of the validation nodes; the result has the parameters with the best metric on them. */
  validationNodes?: Data;
  /** Metric of the validation nodes. Default: the loss. */
  metric?: "loss" | "accuracy";
  /** Epochs between validations. */
  validateEvery?: number;
  /** Number of validations (epochs, without `validationNodes`) in a row without a better value that ends the run. */
  patience?: number;
  minDelta?: number;
  /** Maximum norm of all gradients together, and maximum magnitude of each entry. */
  clipNorm?: number;
  clipValue?: number;
  /** Called after every few steps. */
  onProgress?: (progress: TrainProgress) => void;
  /** Called with the bytes of a checkpoint at most every `checkpointEvery` epochs; `resume` continues from them. */
  onCheckpoint?: (bytes: Fresh<Uint8Array>) => void;
  checkpointEvery?: number;
  resume?: Uint8Array;
  /** Ends the run after the current steps; the result has the parameters trained so far. */
  signal?: AbortSignal;
}

/** Computes the loss of the nodes of a batch, and its gradient with respect to all outputs (V, E). */
export type LossFunction = (output: Matrix, nodes: Matrix<Int32Array>) => LossAnswer | Promise<LossAnswer>;
export interface LossAnswer {
  loss: number;
  gradient: Data;
}

export interface TrainResult<K extends MechanismKey> {
  /** A new mechanism with the best parameters. */
  attention: AttentionFor<K>;
  /** Mean loss of each epoch. */
  losses: number[];
  /** Epoch and metric of each validation. */
  metrics: [number, number][];
  /** The best metric and its epoch. */
  best: number | null;
  bestEpoch: number | null;
  steps: number;
  reason: "finished" | "early_stopping" | "cancelled";
}

type Step = (TrainProgress & { checkpoint?: Matrix<Uint8Array> }) | null;

/** Train a mechanism over a graph, a few steps per request, so that other calls and the event loop can run in between. */
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
  for (const name of ["onProgress", "onCheckpoint"] as const)
    if (typeof (options[name] ?? invalid) !== "function") throw invalid(name, "expected a function");
  const keep = backend.nextId();
  const data = { attention, graph, features, labels, targets, nodes };
  const own = { loss, checkpoints: onCheckpoint !== undefined };
  decode(
    await backend.request(
      encode("train", { ...data, options: new Plain({ ...rest, ...own }), validationNodes, resume }, { keep }),
      { signal },
    ),
  );
  const run = new Owned(backend, keep);
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
      // Let the page draw and signals arrive, also if Python runs in this thread.
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
