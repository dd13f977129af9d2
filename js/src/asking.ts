import type { Args, Callback, encode, read, Reply, Wire } from "./wire.js";

/** A call of one of the caller's functions by Python. */
interface Question {
  function: number;
  /** Number of the request that waits for the answer. */
  of: number;
  /** Whether a list of arrays is expected. */
  many: boolean;
  args: unknown[];
}

export interface Answer {
  /** The request with the answer. */
  wire: Wire;
  /** Python forgets the waiting request when this id is freed. */
  id: number;
}

/** Functions of wire.ts, passed as an argument because this file is loaded later and imports nothing itself. */
export interface WireTools {
  Args: typeof Args;
  encode: typeof encode;
  read: typeof read;
}

/** Call the function that a reply names and return its answer. */
export async function answerTo(
  reply: Reply,
  find: (id: number) => Callback | undefined,
  { Args, encode, read }: WireTools,
): Promise<Answer> {
  const { ask } = read(reply) as { ask: Question };
  const { call, name } = find(ask.function)!;
  const given = await call(...ask.args);
  const answer =
    ask.many && Array.isArray(given)
      ? new Args(
          given,
          given.map((_x, i) => `${name}[${i}]`),
        )
      : given;
  return { wire: encode("answer", [ask.of, new Args([answer], [name])], { double: true }), id: -ask.of };
}
