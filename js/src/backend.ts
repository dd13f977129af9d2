import type { Runner, SendOptions } from "./runner.js";
import { checkCall } from "./errors.js";
import { own, type Reply, type Wire } from "./wire.js";

/** Where requests go: one interpreter, or several that hold the same objects. */
export class Backend {
  private lastId = 0;
  private closed = false;
  private readonly registry = new FinalizationRegistry<number>((id) => this.free(id));

  constructor(private readonly runners: readonly Runner[]) {}

  /** How many interpreters there are. */
  get size(): number {
    return this.runners.length;
  }

  nextId(): number {
    return ++this.lastId;
  }

  /** Free an object when its owner is collected without having been freed. */
  watch(owner: object, id: number): void {
    this.registry.register(owner, id, owner);
  }

  unwatch(owner: object): void {
    this.registry.unregister(owner);
  }

  async request(wire: Wire, options: SendOptions): Promise<Reply> {
    checkCall(options);
    if (this.runners.length === 1) return this.runners[0]!.request(wire, options);
    if (wire.keep === undefined) return this.idlest().request(wire, options);
    // An object has to exist everywhere.
    const copies = this.runners.map((_runner, i) => (i === 0 && !options.transfer ? wire : own(wire, false)));
    const sent = this.runners.map((runner, i) => runner.request(copies[i]!, { ...options, transfer: options.transfer || i > 0 }));
    const results = await Promise.allSettled(sent);
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
    return this.runners.reduce((best, runner) => (runner.load < best.load ? runner : best));
  }
}
