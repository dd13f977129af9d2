/** Codes of the Python side, and those that only exist here. */
export type ErrorCode =
  | "attention_error"
  | "dimension_mismatch"
  | "empty_input"
  | "numerical_instability"
  | "invalid_config"
  | "out_of_bounds"
  | "unsupported"
  | "load_error"
  | "cancelled"
  | "worker_lost"
  | "internal_error"
  | "out_of_memory"
  | "aborted"
  | "timeout"
  | "crashed"
  | "closed"
  | "freed"
  | "startup_failed";

export interface ErrorDetails {
  /** The argument at fault, with the way to it: `metadata.edgeFeatures`. */
  argument?: string | null;
  expected?: unknown;
  actual?: unknown;
  index?: number;
  length?: number;
  /** The Python traceback, where the error was raised by Python. */
  traceback?: string;
  cause?: unknown;
}

const BRAND: unique symbol = Symbol.for("graphattend.AttentionError") as never;

/** The one kind of error this package rejects and throws with. */
export class AttentionError extends Error {
  /** Its name also where names of classes were shortened. */
  static override readonly name: string = "AttentionError";
  /** @internal The package's files each have this class; an error of one is an error for the others, too. */
  readonly [BRAND] = true;
  readonly code: ErrorCode;
  readonly argument: string | undefined;
  readonly expected: unknown;
  readonly actual: unknown;
  readonly index: number | undefined;
  readonly length: number | undefined;
  readonly traceback: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === "aborted" ? "AbortError" : code === "timeout" ? "TimeoutError" : "AttentionError";
    this.code = code;
    this.argument = details.argument ?? undefined;
    this.expected = details.expected ?? undefined;
    this.actual = details.actual ?? undefined;
    this.index = details.index;
    this.length = details.length;
    this.traceback = details.traceback;
    Object.defineProperty(this, BRAND, { enumerable: false });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== AttentionError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === "object" && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true;
  }
}

/** The interpreter is gone and cannot answer again. */
export class Crash extends Error {}

/** A bad option, name or kind of data. */
export const invalid = (argument: string, message: string, details: ErrorDetails = {}): AttentionError =>
  new AttentionError("invalid_config", `${argument}: ${message}`, { argument, ...details });

export const aborted = (signal?: AbortSignal): AttentionError =>
  signal?.reason instanceof AttentionError
    ? signal.reason
    : new AttentionError("aborted", "the call was aborted", { cause: signal?.reason });

/** A signal and a timeout that can be acted on; null stands for none. */
export function checkCall({
  signal,
  timeout,
  ...flags
}: {
  signal?: unknown;
  timeout?: unknown;
  latest?: unknown;
  view?: unknown;
}): void {
  for (const name of ["latest", "view"] as const) {
    if (flags[name] !== undefined && typeof flags[name] !== "boolean")
      throw invalid(name, "expected true or false", { actual: flags[name] });
  }
  if ((signal ?? false) !== false && typeof (signal as AbortSignal).addEventListener !== "function") {
    throw invalid("signal", "expected an AbortSignal", { actual: typeof signal });
  }
  if ((timeout ?? false) !== false && !(typeof timeout === "number" && timeout > 0)) {
    throw invalid("timeout", `expected milliseconds > 0, got ${reason(timeout)}`, { actual: timeout });
  }
}

/** What went wrong, in one line. */
export function reason(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).replace(/\n.*/s, ""); // WebKit has more lines
  } catch {
    return "unknown error";
  }
}

/** Look at data of a caller, who may have put anything there: getters and proxies that throw end in a typed error. */
export function look<T>(read: () => T, argument = "arguments"): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AttentionError) throw error;
    throw invalid(argument, `could not be read (${reason(error)})`, { cause: error });
  }
}
