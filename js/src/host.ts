import { AttentionError, Crash, reason } from "./errors.js";
import { typeOf, TYPES, type Direct, type Reply, type TypedArray, type Wire } from "./wire.js";
import { loadRuntime, type Proxy, type Pyodide } from "./runtime.js";
import type { Progress, RuntimeOptions } from "./types.js";

const INITIAL_BYTES = 1 << 20;
/** An arena larger than this is released after the call that needed it. */
const KEPT_BYTES = 1 << 26;

/** Maximum number of plans, the same as in Python. */
const MOST_PLANS = 256;

/** The place of an array in Python's memory; the view is created anew when the memory has grown. */
interface Place {
  type: (typeof TYPES)[string];
  address: number;
  count: number;
  view?: TypedArray;
}

/** A request that Python can repeat by number; only the numbers in the arrays of its answer change. */
interface Plan {
  number: number;
  text: string;
  places: Place[];
  /** If it is one kernel call: the call without Python. */
  direct: Direct | undefined;
  /** Python's count of dropped plans when this plan was last known to be valid. */
  dropped: number;
}

/** The members of Emscripten's module that are needed. */
interface Memory {
  HEAPU8: Uint8Array;
  HEAP32: Int32Array;
  HEAPU32: Uint32Array;
  wasmTable: WebAssembly.Table;
}

/** Return value of a kernel that has succeeded. */
const DONE = 1;

/** Whether a call was interrupted, also while Pyodide converted its arguments. */
const isInterrupt = (error: unknown): boolean => {
  const { type } = error as { type?: string };
  return type === "KeyboardInterrupt" || (type === "ConversionError" && reason(error).includes("KeyboardInterrupt"));
};

/** A Python interpreter with graphattend in this thread, which answers one request at a time. */
export class Host {
  private arena = 0;
  private capacity = 0;
  /** Index into HEAP32 of Python's count of dropped plans. */
  private dropped = 0;
  private fault: string | undefined;
  private interrupt: Uint8Array | undefined;
  private readonly plans = new Map<string, Plan>();
  private readonly module: Memory;

  private constructor(
    private readonly python: Pyodide,
    private readonly bridge: Proxy,
    private readonly answer: (text: string) => string,
    private readonly again: (plan: number) => boolean,
    readonly started: string,
  ) {
    this.module = python._module as Memory;
    this.reserve(INITIAL_BYTES);
  }

  static async start(options: RuntimeOptions, onProgress: (p: Progress) => void): Promise<Host> {
    let last: Progress = { phase: "runtime", loaded: 0, total: undefined };
    const python = await loadRuntime(options, (progress) => onProgress((last = progress)));
    let host: Host;
    try {
      const bridge = python.pyimport("graphattend._bridge");
      const call = bridge["call"] as (text: string) => string;
      const started = call(JSON.stringify({ op: "start", args: [options.accelerate ?? true] }));
      host = new Host(
        python,
        bridge,
        call,
        bridge["again"] as (plan: number) => boolean,
        started.slice(0, started.indexOf("\n")),
      );
    } catch (error) {
      throw new AttentionError("startup_failed", `graphattend could not be imported: ${reason(error)}`, {
        cause: error,
      });
    }
    const { file: _file, ...rest } = last;
    onProgress({ ...rest, phase: "ready" });
    return host;
  }

  /** Let another thread interrupt the running call by writing 2 into a shared byte. */
  interruptBy(buffer: Uint8Array): void {
    this.interrupt = buffer;
    this.python.setInterruptBuffer(buffer);
  }

  call(wire: Wire): Reply {
    if (this.fault !== undefined) throw new Crash(this.fault);
    try {
      if (wire.arrays.length > 0) this.write(wire);
      return this.repeat(wire) ?? this.ask(wire);
    } catch (error) {
      if (isInterrupt(error)) {
        return {
          text: JSON.stringify({ error: { code: "aborted", message: "the call was interrupted" } }),
          arrays: [],
        };
      }
      this.fault = reason(error);
      throw new Crash(this.fault);
    } finally {
      // Views stay valid until the next call.
      if (this.capacity > KEPT_BYTES && this.fault === undefined && wire.view !== true) this.reserve(INITIAL_BYTES);
    }
  }

  /** Free objects; an interrupt that was meant for a call that has ended is ignored. */
  free(ids: number[]): void {
    if (this.fault !== undefined) return;
    this.python.setInterruptBuffer(undefined);
    (this.bridge["free"] as (...ids: number[]) => void)(...ids);
    this.python.setInterruptBuffer(this.interrupt);
  }

  close(): void {
    if (this.fault === undefined) {
      for (const proxy of [this.answer, this.again, this.bridge]) (proxy as Proxy).destroy();
    }
    this.fault = "closed";
  }

  private reserve(bytes: number): void {
    this.plans.clear();
    const [arena, dropped] = (this.bridge["reserve_at"] as (n: number) => string)(bytes).split(",");
    [this.arena, this.dropped, this.capacity] = [Number(arena), Number(dropped) >>> 2, bytes];
  }

  private write({ arrays, offsets, bytes }: Wire): void {
    if (bytes > this.capacity) this.reserve(Math.max(bytes, Math.min(2 * this.capacity, KEPT_BYTES), INITIAL_BYTES));
    const { HEAPU8 } = this.module;
    for (let i = 0; i < arrays.length; i++) {
      const a = arrays[i]!;
      HEAPU8.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), this.arena + offsets[i]!);
    }
  }

  /** Repeat a request by its plan; undefined if there is none or Python needs the whole request. */
  private repeat({ text, view }: Wire): Reply | undefined {
    const plan = this.plans.get(text);
    if (plan === undefined) return undefined;
    const arrays = plan.direct?.([], view);
    if (arrays !== undefined) return { text: plan.text, arrays, direct: plan.direct };
    if (this.fault !== undefined) throw new Error(this.fault);
    if (this.again(plan.number)) {
      plan.dropped = this.module.HEAP32[this.dropped]!;
      return { text: plan.text, arrays: this.read(plan.places, view) };
    }
    this.plans.delete(text);
    return undefined;
  }

  private ask(wire: Wire): Reply {
    const [text, where, plan, bound] = this.answer(wire.text).split("\n") as [
      string,
      string,
      string | undefined,
      string | undefined,
    ];
    const reply: Reply = { text, arrays: this.read(placesOf(where), wire.view) };
    if (plan !== undefined) {
      const end = plan.indexOf(";");
      if (this.plans.size >= MOST_PLANS) this.plans.clear();
      const made: Plan = {
        number: Number(plan.slice(0, end)),
        text,
        places: placesOf(plan.slice(end + 1)),
        direct: undefined,
        dropped: this.module.HEAP32[this.dropped]!,
      };
      if (bound !== undefined) reply.direct = made.direct = this.direct(made, Number(bound), wire);
      this.plans.set(wire.text, made);
    }
    return reply;
  }

  /** Return a function that runs a plan of one kernel call without Python. */
  private direct(plan: Plan, bound: number, { arrays, offsets }: Wire): Direct {
    const kernel = this.module.wasmTable.get(this.module.HEAPU32[bound >>> 2]!) as (call: number) => number;
    const call = bound + 8;
    const inputs = arrays.map((a, i): Place => ({
      type: typeOf(a),
      address: this.arena + offsets[i]!,
      count: a.length,
    }));
    return (given, view) => {
      if (this.fault !== undefined || plan.dropped !== this.module.HEAP32[this.dropped]) return undefined;
      for (let i = 0; i < given.length; i++) this.at(inputs[i]!).set(given[i] as never);
      try {
        return kernel(call) === DONE ? this.read(plan.places, view) : undefined;
      } catch (error) {
        this.fault = reason(error); // a trap; the next call reports it
        return undefined;
      }
    };
  }

  private read(places: Place[], view: boolean | undefined): TypedArray[] {
    return places.map((place) => (view ? this.at(place) : this.at(place).slice()));
  }

  private at(place: Place): TypedArray {
    const { buffer } = this.module.HEAPU8;
    if (place.view?.buffer !== buffer) place.view = new place.type(buffer, place.address, place.count);
    return place.view;
  }
}

const placesOf = (text: string): Place[] =>
  text === ""
    ? []
    : text.split(";").map((place) => {
        const [code, address, count] = place.split(",") as [string, string, string];
        return { type: TYPES[code]!, address: Number(address), count: Number(count) };
      });
