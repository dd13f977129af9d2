import { writeFileSync } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { connect } from "./index.js";
import { vendor } from "./vendor.js";

const HELP = `Usage:
  graphattend vendor DIR [--from PYODIDE] [--no-snapshot]
                                            write a self-hosted, hash-checked folder with Pyodide, NumPy and graphattend;
                                            from the snapshot in it (10 MB) even a first start takes less than half the time;
                                            --numpy-simd WHEEL takes another wheel of NumPy, such as the WASM-SIMD build
  graphattend doctor [DIR]                  look whether DIR (default: npm's pyodide) has what a start needs, and start
  graphattend analyze FILE [options]        who attends to whom; all options of the Python command line
  graphattend convert FROM TO [options]     a graph in another format; the suffixes say which
  graphattend evaluate | recommend | train | embed | compress [options]
  graphattend list | info | compare | benchmark [options]
PYODIDE is a folder (default: the environment's GRAPHATTEND_DIST, else npm's pyodide).`;

/** Options of Python's command line whose value is a file to read or to write. */
const READS = ["--graph", "--embeddings", "--labels", "--model"];
const WRITES = ["--plot", "--out", "--latents"];
/** Options of Python's command line that need a folder, which Pyodide does not keep between starts. */
const FOLDERS = ["--cache"];
/** Commands of Python's command line that work on folders. */
const IN_FOLDERS = ["partition", "attend"];

class UsageError extends Error {}

/** The worker in which Python runs, so that this thread can handle interrupts. */
let worker: Worker | undefined;
const makeWorker = (): Worker => (worker = new Worker(new URL("./worker.js", import.meta.url), { execArgv: [] }));
let interrupted = false;

/** Print one line and exit. */
async function interrupt(): Promise<void> {
  interrupted = true;
  await worker?.terminate();
  process.stderr.write(`${process.stderr.isTTY ? "\r\x1b[K" : ""}graphattend: interrupted\n`);
  process.exit(130);
}

async function standardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return new Uint8Array(Buffer.concat(chunks));
}

async function python(args: string[]): Promise<number> {
  const [command = ""] = args;
  if (IN_FOLDERS.includes(command))
    throw new UsageError(`${command}: only the Python command line keeps graphs in folders`);
  const files = [...READS, ...WRITES, ...FOLDERS];
  const argv = args.flatMap((word) => {
    const [name = "", ...rest] = word.split("=");
    return rest.length > 0 && files.includes(name) ? [name, rest.join("=")] : [word];
  });
  if (argv[0] === "analyze" && argv[1] !== undefined && !argv[1].startsWith("-")) argv.splice(1, 0, "--graph");
  const inputs: Record<string, Uint8Array> = Object.create(null) as Record<string, Uint8Array>;
  const outputs: string[] = [];
  for (let i = 1; i < argv.length; i++) {
    const value = argv[i]!;
    const option = argv[i - 1]!;
    const converts = argv[0] === "convert";
    const reads = READS.includes(option) || (converts && i === 1);
    const file = value.startsWith("-") ? undefined : value;
    if (FOLDERS.includes(option))
      throw new UsageError(`${option}: only the Python command line keeps runs in a folder`);
    if (reads && value === "-") inputs[value] = await standardInput();
    if (
      file !== undefined &&
      reads &&
      (await access(file).then(
        () => true,
        () => false,
      ))
    ) {
      inputs[file] = new Uint8Array(
        await readFile(file).catch((error: Error) => {
          throw new UsageError(`${file}: ${error.message}`);
        }),
      );
    }
    if (file !== undefined && (WRITES.includes(option) || (converts && i === 2))) outputs.push(file);
  }
  const indexURL = process.env["GRAPHATTEND_DIST"];
  const ga = await connect({ worker: makeWorker, ...(indexURL === undefined ? {} : { indexURL }) });
  try {
    const result = await ga.commandLine(argv, inputs, outputs, {}, process.stderr.isTTY);
    // Written synchronously, so that no interrupt comes between, and before the output names them.
    for (const [name, data] of Object.entries(result.files)) writeFileSync(name, data);
    process.stdout.write(result.stdout);
    process.stderr.write(result.stderr);
    return result.status;
  } finally {
    await ga.close();
  }
}

/** Start from a folder; the error names a missing file. */
async function doctor(args: string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP);
    return 0;
  }
  if (args.length > 1) throw new UsageError("doctor: expected one folder at most");
  const indexURL = args[0] ?? process.env["GRAPHATTEND_DIST"];
  const start = performance.now();
  let snapshot: string | undefined;
  const ga = await connect({
    ...(indexURL === undefined ? {} : { indexURL }),
    snapshot: true,
    onProgress: (progress) => ({ snapshot } = progress),
  });
  try {
    const { version, numpy, backend } = await ga.backendInfo();
    console.log(
      `graphattend ${version}, NumPy ${numpy}, ${backend}: started in ${Math.round(performance.now() - start)} ms`,
    );
    console.log(
      `Snapshot for quicker starts: ${snapshot === "none" || snapshot === "vendored" ? `${snapshot}, this engine's is made now` : (snapshot ?? "")}`,
    );
    console.log(
      "In a browser, serve the folder with .mjs as text/javascript and .wasm as application/wasm, and allow" +
        " script-src 'self' 'wasm-unsafe-eval' and connect-src 'self' in a Content-Security-Policy.",
    );
    return 0;
  } finally {
    await ga.close();
  }
}

async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === undefined || command === "--help" || command === "-h") {
    console.log(HELP);
    return command === undefined ? 2 : 0;
  }
  if (command === "doctor") return doctor(rest);
  if (command !== "vendor") return python(args);
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(HELP);
    return 0;
  }
  const { values, positionals } = parseArgs({
    args: rest,
    options: {
      from: { type: "string" },
      "no-snapshot": { type: "boolean" },
      "numpy-simd": { type: "string" },
    },
    allowPositionals: true,
  });
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw new UsageError("vendor: expected one folder");
  const options = {
    from: values.from ?? process.env["GRAPHATTEND_DIST"],
    snapshot: values["no-snapshot"] !== true,
    numpy: values["numpy-simd"],
  };
  await vendor(folder, options, (line) => console.error(line));
  return 0;
}

process.once("SIGINT", () => void interrupt());

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    if (interrupted) return;
    console.error(`graphattend: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}`);
    const { name, code } = error as { name?: string; code?: string };
    const usage = error instanceof UsageError || name === "AttentionError" || code?.startsWith("ERR_PARSE_ARGS");
    process.exitCode = usage ? 2 : 1;
  },
);
