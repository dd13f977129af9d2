import type { Answer } from "./asking.js";
import { AttentionError, aborted, Crash, reason } from "./errors.js";
import type { Channel, Spawn } from "./channel.js";
import type { Progress } from "./types.js";
import { Args, encode, isQuestion, own, read, type Callback, type Reply, type Wire } from "./wire.js";

export interface SendOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call is given up. */
  timeout?: number | undefined;
  /** Give the arrays' buffers away instead of copying them. */
  transfer?: boolean | undefined;
  /** Of the calls of one kind that wait, only the newest stays. */
  latest?: boolean | undefined;
  /** Results may be views of Python's memory. */
  view?: boolean | undefined;
}

interface Job {
  wire: Wire;
  transfer: boolean;
  latest: boolean;
  settled: boolean;
  /** The same with its data copied, if it makes an object. */
  recipe?: Recipe;
  /** What the interpreter is told, when it asked a function of the caller. */
  answer?: Wire;
  /** Objects to forget when it has ended: those freed after it was asked for. */
  frees: number[];
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** How an object in Python is made again after a crash. */
interface Recipe {
  wire: Wire;
  live: boolean;
}

/** How long an interrupted call may take to stop before its thread is ended. */
const GRACE_MS = 150;
/** Where a call cannot be interrupted it may go on for about as long as a new start would take, at least this. */
const LEAST_RESTART_MS = 500;

/**
 * Sends requests to an interpreter one after the other. If it crashes, hangs or must be stopped, another is started,
 * the objects that are still in use are made again, and the requests that were waiting go on.
 */
export class Runner {
  private channel: Channel | undefined;
  private starting: Promise<void> | undefined;
  private readonly queue: Job[] = [];
  private current: Job | undefined;
  /** Requests for which a function of the caller is asked. */
  private readonly asking = new Set<Job>();
  private readonly recipes = new Map<number, Recipe>();
  private closed = false;
  /** How long a start takes. */
  private startMs = LEAST_RESTART_MS;

  constructor(
    private readonly spawn: Spawn,
    private readonly report: (p: Progress) => void,
    private readonly timeout: number | undefined,
  ) {}

  /** Start the first interpreter; what it said is in `started`. */
  async open(signal: AbortSignal | undefined): Promise<string> {
    const opening = this.spawnChannel(this.report, signal);
    // What is asked for meanwhile waits.
    this.starting = opening
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => (this.starting = undefined));
    const channel = await opening;
    if (this.closed) {
      channel.kill();
      throw closedError();
    }
    this.channel = channel;
    channel.hold(this.queue.length > 0);
    this.starting = undefined;
    this.pump();
    return channel.started;
  }

  private async spawnChannel(report: (p: Progress) => void, signal: AbortSignal | undefined): Promise<Channel> {
    const start = performance.now();
    const channel = await this.spawn(report, signal);
    this.startMs = Math.max(LEAST_RESTART_MS, performance.now() - start);
    return channel;
  }

  /** Whether the first interpreter is there. */
  get isOpen(): boolean {
    return this.channel !== undefined;
  }

  /** Whether nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.channel !== undefined && this.current === undefined && this.queue.length === 0;
  }

  /** Whether a call waits that a newer one of its kind may replace. */
  hasWaiting(kind: string): boolean {
    return this.queue.some((job) => job.latest && !job.settled && job.wire.kind === kind);
  }

  /** Requests that are waiting or running. */
  get load(): number {
    return this.queue.length + (this.current === undefined ? 0 : 1);
  }

  request(wire: Wire, options: SendOptions = {}): Promise<Reply> {
    const { signal, timeout = this.timeout, transfer = false, latest = false } = options;
    if (this.closed) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(aborted(signal));
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          if (job.settled) return;
          job.settled = true;
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          then(value);
        };
      const job: Job = {
        wire,
        transfer,
        latest,
        settled: false,
        frees: [],
        resolve: settle(resolve),
        reject: settle(reject),
      };
      const onAbort = (): void => this.giveUp(job, aborted(signal));
      signal?.addEventListener("abort", onAbort, { once: true });
      if (timeout !== undefined && timeout > 0 && timeout < 2 ** 31) {
        const late = new AttentionError("timeout", `no answer within ${timeout} ms`);
        timer = setTimeout(() => this.giveUp(job, late), timeout);
      }
      if (latest) {
        for (const old of this.queue) {
          if (old.latest && old.wire.kind === wire.kind)
            old.reject(new AttentionError("aborted", "a newer call took its place"));
        }
      }
      this.queue.push(job);
      this.pump();
      if (this.current !== job && !job.settled) {
        // It has to wait, and what the caller does to the data meanwhile must not matter.
        try {
          job.wire = own(wire, transfer);
        } catch (error) {
          job.reject(new AttentionError("invalid_config", `the data could not be taken over: ${reason(error)}`));
        }
        job.transfer = true;
      }
    });
  }

  /** Forget objects, after the requests that wait: they may need them. */
  free(ids: number[]): void {
    const last = this.queue.at(-1) ?? [...this.asking].at(-1);
    if (last === undefined) this.release(ids);
    else last.frees.push(...ids);
  }

  private release(ids: number[]): void {
    const known = ids.filter((id) => this.recipes.has(id));
    if (known.length === 0) return;
    for (const id of known) this.recipes.get(id)!.live = false;
    this.prune();
    this.channel?.free(known);
  }

  close(): void {
    this.closed = true;
    this.channel?.kill();
    this.channel = undefined;
    this.recipes.clear();
    for (const job of [this.current, ...this.asking, ...this.queue.splice(0)]) job?.reject(closedError());
  }

  private pump(): void {
    while (this.current === undefined && this.queue.length > 0) {
      const { channel } = this;
      if (channel === undefined) {
        void this.restart();
        return;
      }
      const job = this.queue.shift()!;
      if (job.settled) this.release(job.frees);
      else void this.run(channel, job);
    }
  }

  private async run(channel: Channel, job: Job): Promise<void> {
    this.current = job;
    channel.hold(true);
    // The data of an object that is kept are kept here too, to make it again.
    if (job.wire.keep !== undefined)
      job.recipe ??= { wire: job.wire.shared ? job.wire : own(job.wire, job.transfer), live: true };
    const { recipe, answer } = job;
    let asked = false;
    try {
      const reply = await channel.send(
        answer ?? recipe?.wire ?? job.wire,
        answer !== undefined || (recipe === undefined && job.transfer),
      );
      asked = isQuestion(reply);
      if (asked) return void this.ask(channel, job, reply);
      if (recipe !== undefined && !reply.text.startsWith('{"error"')) {
        this.recipes.set(job.wire.keep!, recipe);
        if (job.settled) this.free([job.wire.keep!]); // nobody will ever own it
      }
      job.resolve(reply);
    } catch (error) {
      if (error instanceof AttentionError) {
        job.reject(error);
      } else {
        job.reject(crashed(error));
        if (this.channel === channel) this.drop();
      }
    } finally {
      this.current = undefined;
      if (!asked) this.release(job.frees);
      this.channel?.hold(false);
      if (this.channel === undefined && !this.closed) void this.restart();
      else this.pump();
    }
  }

  /** Ask a function of the caller, and go on with its answer; others have their turn meanwhile. */
  private async ask(channel: Channel, job: Job, reply: Reply): Promise<void> {
    this.asking.add(job);
    try {
      const { wire, id } = await this.answerTo(reply, job.wire);
      if (this.channel !== channel) throw crashed("it was started again while a function was asked");
      if (job.settled) channel.free([id]);
      else {
        job.answer = wire;
        this.queue.unshift(job);
      }
    } catch (error) {
      job.reject(error as Error);
    }
    if (this.asking.delete(job) && this.queue[0] !== job) this.release(job.frees);
    this.pump();
  }

  private async answerTo(reply: Reply, { functions }: Wire): Promise<Answer> {
    const find = (id: number): Callback | undefined => {
      for (const { wire } of this.recipes.values()) if (wire.functions?.has(id)) return wire.functions.get(id);
      return functions?.get(id);
    };
    return (await import("./asking.js")).answerTo(reply, find, { Args, encode, read });
  }

  /** Settle a job early. If it is the one that runs, see to it that the next one can. */
  private giveUp(job: Job, error: AttentionError): void {
    job.reject(error);
    if (this.asking.delete(job)) this.release(job.frees);
    const { channel } = this;
    if (this.current !== job || channel === undefined) return;
    setTimeout(
      () => {
        if (this.current === job) channel.kill();
      },
      channel.interrupt() ? GRACE_MS : this.startMs,
    );
  }

  private drop(): void {
    this.channel?.kill();
    this.channel = undefined;
  }

  private restart(): Promise<void> {
    this.starting ??= this.revive().finally(() => {
      this.starting = undefined;
      if (this.channel !== undefined) this.pump();
    });
    return this.starting;
  }

  private async revive(): Promise<void> {
    try {
      const channel = await this.spawnChannel(() => undefined, undefined);
      if (this.closed) return channel.kill();
      for (const { wire } of this.recipes.values()) {
        let reply = await channel.send(wire, false);
        while (isQuestion(reply)) reply = await channel.send((await this.answerTo(reply, wire)).wire, true);
        if (reply.text.startsWith('{"error"'))
          throw new Crash(`an object could not be made again: ${reply.text.slice(0, 200)}`);
      }
      channel.free([...this.recipes].filter(([, recipe]) => !recipe.live).map(([id]) => id));
      if (this.closed) return channel.kill();
      this.channel = channel;
      channel.hold(this.queue.length > 0);
    } catch (error) {
      const failure =
        error instanceof AttentionError
          ? error
          : new AttentionError("startup_failed", `the interpreter could not be started again: ${reason(error)}`, {
              cause: error,
            });
      for (const job of this.queue.splice(0)) {
        job.reject(failure);
        this.release(job.frees);
      }
    }
  }

  /** Drop recipes of objects that are neither in use nor needed to make one that is. */
  private prune(): void {
    const needed = new Set<number>();
    const visit = (id: number): void => {
      const recipe = this.recipes.get(id);
      if (recipe === undefined || needed.has(id)) return;
      needed.add(id);
      recipe.wire.uses.forEach(visit);
    };
    for (const [id, recipe] of this.recipes) if (recipe.live) visit(id);
    for (const id of this.recipes.keys()) if (!needed.has(id)) this.recipes.delete(id);
  }
}

const crashed = (cause: unknown): AttentionError =>
  new AttentionError("crashed", `the interpreter crashed: ${reason(cause)}`, { cause });
const closedError = (): AttentionError => new AttentionError("closed", "the connection was closed");
