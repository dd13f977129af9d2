import { Backend } from "./backend.js";
import { inThread, inWorker, type MakeWorker, type Spawn } from "./channel.js";
import { GraphAttend } from "./client.js";
import { AttentionError, checkCall, invalid, reason } from "./errors.js";
import { isNode } from "./platform.js";
import { Runner } from "./runner.js";
import type { MechanismKey } from "./schema.js";
import type { Progress, RuntimeOptions } from "./types.js";
import { decode } from "./wire.js";

export interface ConnectOptions extends RuntimeOptions {
  /** Run Python in a worker; a function may create the worker from `graphattend/worker`. Default: this thread. */
  worker?: boolean | MakeWorker;
  /** Number of workers, among which the rows of queries are split. */
  workers?: number;
  /** Called with the progress of the start. */
  onProgress?: (progress: Progress) => void;
  /** Aborts the start. */
  signal?: AbortSignal;
  /** Timeout in milliseconds of the start, and of calls without one of their own (which needs a worker). Default: none. */
  timeout?: number;
}

/** Whether snapshots are the default: on desktop Chromium, where all tests have run with them. */
const isDesktopChromium = (): boolean =>
  !isNode &&
  (globalThis.navigator as { userAgentData?: { mobile: boolean } } | undefined)?.userAgentData?.mobile === false;

/** Milliseconds between the start and the making of a snapshot. */
const IDLE_MS = 1000;

/** Start Python with graphattend. */
export async function connect(options: ConnectOptions = {}): Promise<GraphAttend> {
  const { worker, workers, onProgress, signal, timeout, ...given } = options;
  // A classic script or a CommonJS bundle has no files beside it; then the vendored folder has all files.
  const beside = import.meta.url ? { bundledWheelURL: new URL("./graphattend.whl", import.meta.url).href } : {};
  const runtime = { ...given, snapshot: given.snapshot ?? isDesktopChromium(), ...beside };
  if (workers !== undefined && !(Number.isInteger(workers) && workers >= 1 && workers <= 64)) {
    throw invalid("workers", `expected a whole number from 1 to 64, got ${String(workers)}`, { actual: workers });
  }
  checkCall(options);
  if (options.snapshot !== undefined && typeof options.snapshot !== "boolean") {
    throw invalid("snapshot", "expected true or false", { actual: options.snapshot });
  }
  if (options.numpy !== undefined && options.numpy !== "simd") {
    throw invalid("numpy", 'expected "simd"', { actual: options.numpy });
  }
  const inWorkers = workers !== undefined || (worker ?? false) !== false;
  const maker = typeof worker === "function" ? worker : undefined;
  const spawn = inWorkers ? inWorker(runtime, maker) : inThread(runtime);
  const count = workers ?? 1;
  const quiet = (): void => undefined;
  let snapshot: string | undefined;
  const first = (progress: Progress): void => {
    ({ snapshot } = progress);
    onProgress?.(progress);
  };
  const runners = Array.from({ length: count }, (_x, i) => new Runner(spawn, i === 0 ? first : quiet, timeout));
  const { stop, done } = deadline(signal ?? undefined, timeout ?? undefined);
  try {
    const started = await runners[0]!.open(stop);
    const info = decode({ text: started, arrays: [] }) as {
      version: string;
      mechanisms: MechanismKey[];
      schemas: string;
    };
    const backend = new Backend(runners);
    // The first interpreter answers while the others start.
    void backend.openRest(signal ?? undefined).then(() => {
      if (snapshot === "none" || snapshot === "vendored") return prepare(inWorker({ ...runtime, make: true }, maker));
    });
    return new GraphAttend(backend, info.version, Object.freeze(info.mechanisms), info.schemas);
  } catch (error) {
    for (const runner of runners) runner.close();
    throw error instanceof AttentionError
      ? error
      : new AttentionError("startup_failed", reason(error), { cause: error });
  } finally {
    done();
  }
}

/** Make a snapshot for the next start, in a worker and when the page is idle. */
async function prepare(spawn: Spawn): Promise<void> {
  const quiet = (): void => undefined;
  if (!isNode) {
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    await new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(() => resolve(undefined)));
  }
  await spawn(quiet, undefined).then((channel) => channel.kill(), quiet);
}

/** A signal that also aborts after the timeout. */
function deadline(
  signal: AbortSignal | undefined,
  timeout: number | undefined,
): { stop: AbortSignal | undefined; done(): void } {
  if (timeout === undefined || timeout >= 2 ** 31) return { stop: signal, done: () => undefined };
  const controller = new AbortController();
  const forward = (): void => controller.abort(signal!.reason);
  if (signal?.aborted) forward();
  signal?.addEventListener("abort", forward, { once: true });
  const timer = setTimeout(
    () => controller.abort(new AttentionError("timeout", `the start took more than ${timeout} ms`)),
    timeout,
  );
  const done = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  };
  return { stop: controller.signal, done };
}

export { AttentionError, type ErrorCode } from "./errors.js";
export { GraphAttend, type BackendInfo, type Recommendation } from "./client.js";
export {
  Attention,
  type AttentionFor,
  type AttendOptions,
  type Config,
  type ForwardOptions,
  type Gradients,
  type LinearState,
  type Prepared,
  type Result,
  type VjpOptions,
  type WeightsOptions,
} from "./attention.js";
export { Remote, Tensor, type Pullback, type VjpResult } from "./objects.js";
export type * from "./types.js";
export type * from "./schema.js";
export type { LossAnswer, LossFunction, TrainOptions, TrainProgress, TrainResult } from "./train.js";
export { VERSION } from "./version.js";
