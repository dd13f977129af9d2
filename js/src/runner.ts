import type { Answer } from "./asking.js";
import { AttentionError, aborted, Crash, reason } from "./errors.js";
import type { Channel, Spawn } from "./channel.js";
import type { Progress } from "./types.js";
import { Args, encode, isQuestion, own, read, type Callback, type Reply, type Wire } from "./wire.js";

export interface SendOptions {
  signal?: AbortSignal | undefined;
  /** Timeout in milliseconds. */
  timeout?: number | undefined;
  /** Transfer the buffers of the arrays instead of copying them. */
  transfer?: boolean | undefined;
  /** Of the waiting calls of one kind, keep only the newest. */
  latest?: boolean | undefined;
  /** Results may be views of Python's memory. */
  view?: boolean | undefined;
}

interface Job {
  wire: Wire;
  transfer: boolean;
  latest: boolean;
  settled: boolean;
  /** The request with copied data, if it creates an object. */
  recipe?: Recipe;
  /** The request with the answer of the caller's function that the interpreter asked for. */
  answer?: Wire;
  /** Objects to free when the job has ended: those freed after the request. */
  frees: number[];
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** The request that creates an object in Python again after a crash. */
interface Recipe {
  wire: Wire;
  live: boolean;
}

/** Time in which an interrupted call may stop before its worker is ended. */
const GRACE_MS = 150;
/** A call that cannot be interrupted may go on for as long as a new start takes, and at least this long. */
const LEAST_RESTART_MS = 500;

/**
 * Sends requests to an interpreter one after the other. If the interpreter crashes, hangs or has to be stopped, the runner
 * starts another one, creates the objects that are still in use again, and continues with the waiting requests.
 */
export class Runner {
  private channel: Channel | undefined;
  private starting: Promise<void> | undefined;
  private readonly queue: Job[] = [];
  private current: Job | undefined;
  /** Requests that wait for a function of the caller. */
  private readonly asking = new Set<Job>();
  private readonly recipes = new Map<number, Recipe>();
  private closed = false;
  /** Duration of the last start. */
  private startMs = LEAST_RESTART_MS;

  constructor(
    private readonly spawn: Spawn,
    private readonly report: (p: Progress) => void,
    private readonly timeout: number | undefined,
  ) {}

  /** Start the first interpreter and return its `started`. */
  async open(signal: AbortSignal | undefined): Promise<string> {
    const opening = this.spawnChannel(this.report, signal);
    // Requests wait until it has started.
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

  /** Whether an interpreter has started. */
  get isOpen(): boolean {
    return this.channel !== undefined;
  }

  /** Whether no request is running or waiting. */
  get isIdle(): boolean {
    return this.channel !== undefined && this.current === undefined && this.queue.length === 0;
  }

  /** Whether a call of this kind is waiting that a newer one may replace. */
  hasWaiting(kind: string): boolean {
    return this.queue.some((job) => job.latest && !job.settled && job.wire.kind === kind);
  }

  /** Number of requests that are waiting or running. */
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
        // The request has to wait: copy its data, because the caller may change them meanwhile.
        try {
          job.wire = own(wire, transfer);
        } catch (error) {
          job.reject(new AttentionError("invalid_config", `the data could not be taken over: ${reason(error)}`));
        }
        job.transfer = true;
      }
    });
  }

  /** Free objects after the waiting requests, which may need them. */
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
    // Keep the data of an object, to create it again.
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
        if (job.settled) this.free([job.wire.keep!]); // it has no owner
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

  /** Call a function of the caller and continue the request with its answer; other requests run meanwhile. */
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

  /** Reject a job early. If it is running, interrupt it or end the interpreter. */
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

  /** Drop recipes of objects that are neither in use nor needed to create one that is. */
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
