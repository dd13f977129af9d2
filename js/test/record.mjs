// Results of tests for the tables of docs/browser.md; with GRAPHATTEND_RECORD they are stored in benchmarks/results/.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { root } from "./setup.mjs";

/** Store a row of a table; `tools/gen_browser_tables.py` writes the tables. */
export function record(table, name, row) {
  if (!process.env.GRAPHATTEND_RECORD) return;
  const path = join(root, "benchmarks", "results", `${table}.json`);
  const rows = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  rows[name] = { ...rows[name], ...row };
  writeFileSync(path, `${JSON.stringify(rows, undefined, 1)}\n`);
}

/** Return the version of an installed package. */
export const versionOf = (modules, name) =>
  JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;

/** Test the package in one environment; `test` may return the version of the environment. */
export function environment(name, where, test) {
  it(name, { timeout: 300_000 }, async () => {
    record("environments", name, { version: "", where, result: "failed" });
    record("environments", name, { version: (await test()) ?? "", where, result: "passed" });
  });
}
