// Controls for the options in a mechanism's JSON schema.

import type { Schema } from "graphattend";
import type { Options, Value } from "./state.js";

export type Control =
  | { kind: "check"; name: string; help: string; value: boolean }
  | { kind: "choice"; name: string; help: string; value: string; choices: string[] }
  | { kind: "slider"; name: string; help: string; value: number; low: number; high: number }
  | { kind: "number"; name: string; help: string; value: number | null; step: string; min?: number; max?: number }
  | { kind: "json"; name: string; help: string; value: Value };

/** Options that the page sets (dim) or that have no effect here (dropout acts only in training). */
const HIDDEN = new Set(["dim", "check_finite", "dropout"]);

/** Return the controls of a mechanism, with their values. */
export function controls(schema: Schema, options: Options): Control[] {
  return Object.entries(schema.properties)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, rule]) => control(name, rule, name in options ? options[name]! : (rule["default"] as Value)))
    .sort((a, b) => order(a) - order(b));
}

function order(c: Control): number {
  return c.name === "temperature" ? 0 : c.name === "seed" ? 3 : c.kind === "json" ? 2 : 1;
}

function control(name: string, rule: Record<string, unknown>, value: Value): Control {
  const help = (rule["description"] as string | undefined) ?? "";
  const types = [rule["type"]].flat() as string[];
  if (types.includes("boolean")) return { kind: "check", name, help, value: value === true };
  if (Array.isArray(rule["enum"]))
    return {
      kind: "choice",
      name,
      help,
      value: typeof value === "string" ? value : JSON.stringify(value),
      choices: rule["enum"] as string[],
    };
  if (name.endsWith("temperature"))
    return {
      kind: "slider",
      name,
      help,
      value: typeof value === "number" ? value : Number(rule["default"] ?? 1),
      low: 0.05,
      high: 20,
    };
  if (!types.every((t) => ["number", "integer", "null"].includes(t))) return { kind: "json", name, help, value };
  const minimum = rule["minimum"] as number | undefined,
    maximum = rule["maximum"] as number | undefined;
  return {
    kind: "number",
    name,
    help,
    value: typeof value === "number" ? value : null,
    step: types.includes("integer") ? "1" : "any",
    ...(minimum === undefined ? {} : { min: minimum }),
    ...(maximum === undefined ? {} : { max: maximum }),
  };
}

/** Return `options` with one value changed; defaults are left out. */
export function withOption(schema: Schema, options: Options, name: string, value: Value): Options {
  const { [name]: _, ...rest } = options;
  const usual = schema.properties[name]?.["default"];
  return JSON.stringify(usual) === JSON.stringify(value) ? rest : { ...rest, [name]: value };
}

/** Return the options that another mechanism also has, with the same meaning. */
export function shared(from: Schema | undefined, to: Schema, options: Options): Options {
  const same = (name: string): boolean =>
    JSON.stringify(from?.properties[name]) === JSON.stringify(to.properties[name]);
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => name in to.properties && (from === undefined || same(name))),
  );
}
