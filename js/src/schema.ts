import type { MechanismOptions } from "./mechanisms.gen.js";
import type { Json } from "./types.js";

export { FUNCTIONS } from "./mechanisms.gen.js";
export type * from "./mechanisms.gen.js";

/** Registry keys of all mechanisms. */
export type MechanismKey = keyof MechanismOptions;

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${Snake<Tail>}`
  : "";
type Spelled<T> = { [N in keyof T as Snake<N & string>]: T[N] };

/** Options of a mechanism, with names in camel case (`numHeads`) or as in Python (`num_heads`). */
export type CreateOptions<K extends MechanismKey> = MechanismOptions[K] | Spelled<MechanismOptions[K]>;

/** The config of a mechanism inside another, for example of an expert of a mixture. */
export type MechanismConfig = {
  [K in MechanismKey]: {
    key: K;
    dim: number;
    options?: Omit<MechanismOptions[K], "dim"> | Omit<Spelled<MechanismOptions[K]>, "dim">;
    version?: number;
  };
}[MechanismKey];

/** JSON schema of a mechanism's options. */
export interface Schema {
  $schema: string;
  title: string;
  description: string;
  type: "object";
  properties: Record<string, Record<string, Json>>;
  required: string[];
  additionalProperties: false;
  [extension: `x-${string}`]: Json;
}
