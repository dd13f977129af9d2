import { AttentionError, aborted, Crash, reason, type ErrorCode, type ErrorDetails } from "./errors.js";
import { isNode, nodeModule } from "./platform.js";
import type { Progress, RuntimeOptions } from "./types.js";
import { buffersOf, type Reply, type TypedArray, type Wire } from "./wire.js";

/** A running interpreter that answers one request at a time. A rejected promise means that it has ended. */
export interface Channel {
  /** The interpreter's answer to its start, as JSON. */
  readonly started: string;
  send(wire: Wire, transfer: boolean): Promise<Reply>;
  free(ids: number[]): void;
  /** Interrupt the running request; returns false if this channel cannot. */
  interrupt(): boolean;
  /** Set whether the channel keeps Node.js alive. */
  hold(on: boolean): void;
  kill(): void;
}

export type Spawn = (report: (p: Progress) => void, signal: AbortSignal | undefined) => Promise<Channel>;

/** Messages to a worker. */
export type ToWorker =
  | { type: "start"; options: RuntimeOptions; interrupt: Uint8Array | undefined; life: string | undefined }
  | { type: "call"; id: number; text: string; arrays: TypedArray[]; offsets: number[]; bytes: number }
  | { type: "free"; ids: number[] };

/** Messages from a worker. */
export type FromWorker =
  | { type: "alive" }
  | { type: "progress"; progress: Progress }
  | { type: "started"; started: string }
  | { type: "failed"; code: ErrorCode; message: string; details: ErrorDetails }
  | { type: "reply"; id: number; text: string; arrays: TypedArray[] }
  | { type: "crash"; message: string };

/** Run the interpreter in this thread. Its code is loaded only here, not if it runs in a worker. */
export function inThread(options: RuntimeOptions): Spawn {
  return async (report, signal) => {
    const loading = import("./host.js").catch((error: unknown) => {
      const remedy = "is the server reachable, and do the package's other files lie beside its index.js?";
      throw new AttentionError("startup_failed", `${reason(error)}; ${remedy}`, { cause: error });
    });
    const host = await abortable(
      loading.then(({ Host }) => Host.start(options, report)),
      signal,
    );
    return {
      started: host.started,
      // eslint-disable-next-line @typescript-eslint/require-await -- a throw is to become a rejection
      send: async (wire) => host.call(wire),
      free: (ids) => host.free(ids),
      interrupt: () => true, // no other code runs in this thread during a call
      hold: () => undefined,
      kill: () => host.close(),
    };
  };
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(aborted(signal));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** The common interface of workers in browsers and Node.js. */
export interface Port {
  postMessage(message: ToWorker, transfer: ArrayBuffer[]): void;
  listen(message: (data: unknown) => void, failure: (message: string) => void): void;
  hold(on: boolean): void;
  kill(): void;
}

/** Something that makes the worker: `graphattend/worker` as a module worker. */
export type MakeWorker = () => unknown;

/** Run the interpreter in a worker. */
export function inWorker(options: RuntimeOptions, make: MakeWorker | undefined): Spawn {
  return async (report, signal) => {
    if (signal?.aborted) throw aborted(signal);
    const port = await openPort(make, options.indexURL);
    const channel = new WorkerChannel(port, report);
    const stop = (): void => channel.fail(aborted(signal));
    signal?.addEventListener("abort", stop, { once: true });
    try {
      if (signal?.aborted) throw aborted(signal); // while the worker was created
      await channel.start(options);
      return channel;
    } catch (error) {
      channel.kill();
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  };
}

interface Waiting {
  id: number;
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

class WorkerChannel implements Channel {
  started = "";
  private readonly interruptByte = sharedByte();
  private waiting: Waiting | undefined;
  private starting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  private lastId = 0;
  /** Name of a lock that the worker holds. It becomes free when the worker dies, which browsers do not report. */
  private readonly life =
    !isNode && globalThis.isSecureContext && "locks" in navigator ? `graphattend-${crypto.randomUUID()}` : undefined;
  private readonly watching = new AbortController();
  private dead: Error | undefined;

  constructor(
    private readonly port: Port,
    private readonly report: (p: Progress) => void,
  ) {
    port.listen(
      (data) => this.receive(data),
      (message) => this.fail(new Crash(message)),
    );
  }

  start(options: RuntimeOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.starting = { resolve, reject };
      this.post({ type: "start", options, interrupt: this.interruptByte, life: this.life }, []);
    });
  }

  send(wire: Wire, transfer: boolean): Promise<Reply> {
    if (this.dead !== undefined) return Promise.reject(this.dead);
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.waiting = { id, resolve, reject };
      const { text, arrays, offsets, bytes } = wire;
      this.post({ type: "call", id, text, arrays, offsets, bytes }, transfer ? buffersOf(wire) : []);
    });
  }

  free(ids: number[]): void {
    if (this.dead === undefined) this.post({ type: "free", ids }, []);
  }

  interrupt(): boolean {
    if (this.interruptByte === undefined) return false;
    this.interruptByte[0] = 2; // SIGINT
    return true;
  }

  hold(on: boolean): void {
    this.port.hold(on);
  }

  kill(): void {
    this.fail(new Crash("the worker was stopped"));
    this.watching.abort();
    this.port.kill();
  }

  /** Reject everything that waits; the first error is kept. */
  fail(error: Error): void {
    this.dead ??= error;
    this.starting?.reject(this.dead);
    this.waiting?.reject(this.dead);
    this.starting = this.waiting = undefined;
  }

  private watch(): void {
    navigator.locks
      .request(this.life!, { signal: this.watching.signal }, () => this.fail(new Crash("the worker ended")))
      .catch(() => undefined);
  }

  private post(message: ToWorker, transfer: ArrayBuffer[]): void {
    try {
      this.port.postMessage(message, transfer);
    } catch (error) {
      // Nothing was sent: only this request fails, the worker goes on.
      const failure = new AttentionError(
        "invalid_config",
        `the data could not be sent to the worker: ${String(error)}`,
      );
      this.waiting?.reject(failure);
      this.waiting = undefined;
    }
  }

  private receive(data: unknown): void {
    const message = (typeof data === "object" && data !== null ? data : { type: "" }) as FromWorker;
    switch (message.type) {
      case "alive":
        return this.watch();
      case "progress": {
        try {
          return this.report(message.progress);
        } catch (error) {
          return this.fail(error as Error);
        }
      }
      case "started":
        this.started = message.started;
        this.starting?.resolve();
        this.starting = undefined;
        return;
      case "failed":
        return this.fail(new AttentionError(message.code, message.message, message.details));
      case "crash":
        return this.fail(new Crash(message.message));
      case "reply": {
        // Ignore late, repeated and foreign answers, which have another number.
        if (message.id !== this.waiting?.id) return;
        const { resolve } = this.waiting;
        if (typeof message.text !== "string" || !Array.isArray(message.arrays)) {
          return this.fail(new Crash("the worker sent an answer that cannot be read"));
        }
        this.waiting = undefined;
        resolve({ text: message.text, arrays: message.arrays });
      }
    }
  }
}

/** A byte shared by both threads, or undefined if that is not allowed (in browsers: without cross-origin isolation). */
function sharedByte(): Uint8Array | undefined {
  if (typeof SharedArrayBuffer !== "function" || (!isNode && !globalThis.crossOriginIsolated)) return undefined;
  return new Uint8Array(new SharedArrayBuffer(1));
}

/**
 * The address of the worker's file, which needs no bundling. It is not written inside `new Worker(…)`, because webpack would
 * then build a classic worker, in which Pyodide does not run. In this form webpack copies the file.
 */
function workerURL(folder = ""): URL | string {
  if (import.meta.url) return new URL("./worker.js", import.meta.url);
  const file = `${folder.replace(/\/$/, "")}/worker.js`;
  return isNode ? file : new URL(file, document.baseURI);
}

async function openPort(make: MakeWorker | undefined, folder: string | undefined): Promise<Port> {
  if (isNode) {
    const { Worker: NodeWorker } = await nodeModule("node:worker_threads");
    const worker = (make?.() ?? new NodeWorker(workerURL(folder), { execArgv: [] })) as InstanceType<typeof NodeWorker>;
    let killed = false;
    return {
      postMessage: (message, transfer) => worker.postMessage(message, transfer),
      listen: (message, failure) => {
        worker.on("message", message);
        worker.on("error", (error: unknown) => failure(String((error as Error | undefined)?.message ?? error)));
        worker.on("messageerror", () => failure("the worker sent a message that cannot be read"));
        worker.on("exit", (code) => killed || failure(`the worker ended with exit code ${code}`));
      },
      hold: (on) => (on ? worker.ref() : worker.unref()),
      kill: () => {
        killed = true;
        void worker.terminate();
      },
    };
  }
  const worker = (make?.() ?? new Worker(workerURL(folder), { type: "module" })) as Worker;
  return {
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    listen: (message, failure) => {
      worker.onmessage = (event) => message(event.data);
      worker.onmessageerror = () => failure("the worker sent a message that cannot be read");
      worker.onerror = (event) => {
        event.preventDefault();
        failure(
          event.message ??
            `${make === undefined ? String(workerURL(folder)) : "the worker's file"}: could not be run as a module worker; ` +
              "serve graphattend's worker.js there as text/javascript, and allow it in the Content-Security-Policy's worker-src",
        );
      };
    },
    hold: () => undefined,
    kill: () => worker.terminate(),
  };
}
