// Prints the backend and the differences from the table of Python's answers, in runtimes that a test starts.
import { readFileSync } from "node:fs";
import { load } from "graphattend/kernels";
import { answer, compare } from "./kernel-table.mjs";

const table = JSON.parse(readFileSync(new URL("kernel-cases.json", import.meta.url), "utf8"));
const k = await load();
const faults = table
  .map((c) => [`${c.call}, ${c.name}`, compare(answer(k, c), c.expected)])
  .filter(([, why]) => why !== "");
console.log(JSON.stringify({ backend: k.backend, count: table.length, faults }));
