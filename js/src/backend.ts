import type { Runner, SendOptions } from "./runner.js";
import { checkCall, look } from "./errors.js";
import { own, type Reply, type Wire } from "./wire.js";

/** Sends requests to one interpreter, or to several that have the same objects. */
export class Backend {
  private lastId = 0;
  private closed = false;
  private readonly registry = new FinalizationRegistry<number>((id) => this.free(id));

  private readonly runners: Runner[];

  constructor(runners: readonly Runner[]) {
    this.runners = [...runners];
  }

  /** Number of interpreters that have started. */
  get size(): number {
    return this.runners.filter((runner) => runner.isOpen).length;
  }

  /** Whether there is one interpreter and it is idle, so that a direct call cannot overtake another. */
  get isIdle(): boolean {
    return this.runners.length === 1 && this.runners[0]!.isIdle;
  }

  /** Start the other interpreters one after the other, because Firefox hangs if several start at once. */
  async openRest(signal: AbortSignal | undefined): Promise<void> {
    for (const runner of this.runners.slice(1)) {
      if (this.closed || !this.runners.includes(runner)) continue;
      await runner.open(signal).catch(() => this.remove(runner));
    }
  }

  /** Close an interpreter and go on with the others. */
  private remove(runner: Runner): void {
    const at = this.runners.indexOf(runner);
    if (at > 0) this.runners.splice(at, 1);
    runner.close();
  }

  nextId(): number {
    return ++this.lastId;
  }

  /** Free an object if its owner is garbage-collected without `free`. */
  watch(owner: object, id: number): void {
    this.registry.register(owner, id, owner);
  }

  unwatch(owner: object): void {
    this.registry.unregister(owner);
  }

  async request(wire: Wire, options: SendOptions): Promise<Reply> {
    look(() => checkCall(options), "signal");
    if (options.view) wire = { ...wire, view: true };
    if (this.runners.length === 1) return this.runners[0]!.request(wire, options);
    if (wire.keep === undefined) {
      const waiting = options.latest ? this.runners.find((runner) => runner.hasWaiting(wire.kind)) : undefined;
      return (waiting ?? this.idlest()).request(wire, options);
    }
    // Every interpreter creates the object from one copy of its data; those that have not started yet create it later.
    const shared = { ...own(wire, options.transfer ?? false), shared: true };
    const needed =
      this.size > 0
        ? (runner: Runner): boolean => runner.isOpen
        : (runner: Runner): boolean => runner === this.runners[0];
    const answers = this.runners.map((runner) => {
      if (needed(runner)) return runner.request(shared, { ...options, transfer: false });
      const answer = runner.request(shared);
      answer.catch(() => this.remove(runner));
      return undefined;
    });
    const results = await Promise.allSettled(answers.filter((answer) => answer !== undefined));
    const failed = results.find((r) => r.status === "rejected");
    if (failed !== undefined) {
      this.free(wire.keep);
      throw failed.reason;
    }
    return (results[0] as PromiseFulfilledResult<Reply>).value;
  }

  free(id: number): void {
    if (!this.closed) for (const runner of this.runners) runner.free([id]);
  }

  close(): void {
    this.closed = true;
    for (const runner of this.runners) runner.close();
  }

  private idlest(): Runner {
    return this.runners.reduce((best, runner) => (runner.isOpen && runner.load < best.load ? runner : best));
  }
}
