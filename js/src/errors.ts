/** Error codes: those of Python, and those that exist only in JavaScript. */
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
  /** Path of the argument at fault: `metadata.edgeFeatures`. */
  argument?: string | null;
  expected?: unknown;
  actual?: unknown;
  index?: number;
  length?: number;
  /** The Python traceback, if Python raised the error. */
  traceback?: string;
  cause?: unknown;
}

const BRAND: unique symbol = Symbol.for("graphattend.AttentionError") as never;

/** The class of all errors that this package throws and rejects with. */
export class AttentionError extends Error {
  /** The name, also if a minifier has shortened the name of the class. */
  static override readonly name: string = "AttentionError";
  /** @internal Each file of the package has this class; the brand lets `instanceof` work between them. */
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

/** The interpreter has ended and cannot answer. */
export class Crash extends Error {}

/** An error for an invalid option, name or type of data. */
export const invalid = (argument: string, message: string, details: ErrorDetails = {}): AttentionError =>
  new AttentionError("invalid_config", `${argument}: ${message}`, { argument, ...details });

export const aborted = (signal?: AbortSignal): AttentionError =>
  signal?.reason instanceof AttentionError
    ? signal.reason
    : new AttentionError("aborted", "the call was aborted", { cause: signal?.reason });

/** Check the options of a call; null stands for none. */
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

/** The message of an error in one line. */
export function reason(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).replace(/\n.*/s, ""); // WebKit has more lines
  } catch {
    return "unknown error";
  }
}

/** Read the caller's data; getters and proxies that throw cause a typed error. */
export function look<T>(read: () => T, argument = "arguments"): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AttentionError) throw error;
    throw invalid(argument, `could not be read (${reason(error)})`, { cause: error });
  }
}
