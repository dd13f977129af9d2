import type { Args, Callback, encode, read, Reply, Wire } from "./wire.js";

/** What Python asks a function of the caller. */
interface Question {
  function: number;
  /** The request that waits for the answer. */
  of: number;
  /** Whether a list of arrays is expected. */
  many: boolean;
  args: unknown[];
}

export interface Answer {
  /** The request that tells Python. */
  wire: Wire;
  /** By this number Python forgets the question, should nobody want to know any more. */
  id: number;
}

/** What this file needs of wire.ts, which is loaded already: a part that comes later imports nothing of its own. */
export interface WireTools {
  Args: typeof Args;
  encode: typeof encode;
  read: typeof read;
}

/** Ask the function that a reply names. */
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
