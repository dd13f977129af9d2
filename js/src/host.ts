import { AttentionError, reason } from "./errors.js";
import { TYPES, type Reply, type TypedArray, type Wire } from "./wire.js";
import { loadRuntime, type Proxy, type Pyodide } from "./runtime.js";
import type { Progress, RuntimeOptions } from "./types.js";

/** The interpreter is gone and cannot answer again. */
export class Crash extends Error {}

const INITIAL_BYTES = 1 << 20;
/** An arena beyond this size is given back after the call that needed it. */
const KEPT_BYTES = 1 << 26;

/** Requests whose plans are remembered at most, as many as Python keeps. */
const MOST_PLANS = 256;

/** Where a result lies in Python's memory. */
interface Place {
  type: (typeof TYPES)[string];
  address: number;
  count: number;
}

/** A request that Python can repeat by number: its answer is the same but for the numbers in its arrays. */
interface Plan {
  number: number;
  text: string;
  places: Place[];
}

interface BufferView { data: Uint8Array; release(): void }

/** A Python interpreter with graphattend, in this thread. Requests in, answers out, one at a time. */
export class Host {
  private view: BufferView | undefined;
  private capacity = 0;
  private fault: string | undefined;
  private readonly plans = new Map<string, Plan>();

  private constructor(
    private readonly python: Pyodide, private readonly bridge: Proxy, private readonly answer: (text: string) => string,
    private readonly again: (plan: number) => boolean, readonly started: string,
  ) {}

  static async start(options: RuntimeOptions, onProgress: (p: Progress) => void): Promise<Host> {
    let last: Progress = { phase: "runtime", loaded: 0, total: undefined };
    const python = await loadRuntime(options, (progress) => onProgress(last = progress));
    let host: Host;
    try {
      const bridge = python.pyimport("graphattend._bridge");
      const call = bridge["call"] as (text: string) => string;
      const started = call(JSON.stringify({ op: "start", args: [options.accelerate ?? true] }));
      host = new Host(python, bridge, call, bridge["again"] as (plan: number) => boolean, started.slice(0, started.indexOf("\n")));
    } catch (error) {
      throw new AttentionError("startup_failed", `graphattend could not be imported: ${reason(error)}`, { cause: error });
    }
    const { file: _file, ...rest } = last;
    onProgress({ ...rest, phase: "ready" });
    return host;
  }

  /** Let another thread interrupt the running call by writing 2 into a shared byte. */
  interruptBy(buffer: Uint8Array): void {
    this.python.setInterruptBuffer(buffer);
  }

  call(wire: Wire): Reply {
    if (this.fault !== undefined) throw new Crash(this.fault);
    try {
      if (wire.arrays.length > 0) this.write(wire);
      return this.repeat(wire.text) ?? this.ask(wire.text);
    } catch (error) {
      if ((error as { type?: string }).type === "KeyboardInterrupt") {
        return { text: JSON.stringify({ error: { code: "aborted", message: "the call was interrupted" } }), arrays: [] };
      }
      this.fault = reason(error);
      throw new Crash(this.fault);
    } finally {
      if (this.capacity > KEPT_BYTES && this.fault === undefined) this.reserve(INITIAL_BYTES);
    }
  }

  free(ids: number[]): void {
    if (this.fault === undefined) (this.bridge["free"] as (...ids: number[]) => void)(...ids);
  }

  close(): void {
    this.view?.release();
    this.view = undefined;
    if (this.fault === undefined) {
      for (const proxy of [this.answer, this.again, this.bridge]) (proxy as Proxy).destroy();
    }
    this.fault = "closed";
  }

  private reserve(bytes: number): void {
    this.view?.release();
    this.view = undefined;
    this.plans.clear();
    const block = (this.bridge["reserve"] as (n: number) => Proxy)(bytes);
    try {
      this.view = (block["getBuffer"] as (type: string) => BufferView)("u8");
      this.capacity = bytes;
    } finally {
      block.destroy();
    }
  }

  /** The WASM memory; views of it detach when it grows, so it is asked for again. */
  private memory(): Uint8Array {
    if (this.view === undefined || this.view.data.byteLength === 0) this.reserve(Math.max(this.capacity, INITIAL_BYTES));
    return this.view!.data;
  }

  private write({ arrays, offsets, bytes }: Wire): void {
    if (bytes > this.capacity) this.reserve(Math.max(bytes, Math.min(2 * this.capacity, KEPT_BYTES), INITIAL_BYTES));
    const arena = this.memory();
    for (let i = 0; i < arrays.length; i++) {
      const a = arrays[i]!;
      arena.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), offsets[i]);
    }
  }

  /** The answer to a request seen before, unless Python wants it in full. */
  private repeat(text: string): Reply | undefined {
    const plan = this.plans.get(text);
    if (plan === undefined) return undefined;
    // If the memory grew meanwhile, its views are detached, and making new ones would drop the arena with the results.
    if (this.again(plan.number) && this.view!.data.byteLength > 0) return { text: plan.text, arrays: this.read(plan.places) };
    this.plans.delete(text);
    return undefined;
  }

  private ask(request: string): Reply {
    const [text, where, plan] = this.answer(request).split("\n") as [string, string, string | undefined];
    const reply = { text, arrays: this.read(placesOf(where)) };
    if (plan !== undefined && this.view!.data.byteLength > 0) {
      const end = plan.indexOf(";");
      if (this.plans.size >= MOST_PLANS) this.plans.clear();
      this.plans.set(request, { number: Number(plan.slice(0, end)), text, places: placesOf(plan.slice(end + 1)) });
    }
    return reply;
  }

  private read(places: Place[]): TypedArray[] {
    if (places.length === 0) return [];
    const { buffer } = this.memory();
    return places.map(({ type, address, count }) => new type(buffer, address, count).slice());
  }
}

const placesOf = (text: string): Place[] => (text === "" ? [] : text.split(";").map((place) => {
  const [code, address, count] = place.split(",") as [string, string, string];
  return { type: TYPES[code]!, address: Number(address), count: Number(count) };
}));
