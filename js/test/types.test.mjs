// The types of the package with every supported version of TypeScript, against the oldest library, without skipLibCheck: its
// declarations, code that has to compile or to fail, and every example of the documentation.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, describe, it } from "node:test";
import { transformSync } from "esbuild";
import { js, root, vendored } from "./setup.mjs";

const folder = join(js, "test", "typescript");
const work = mkdtempSync(join(tmpdir(), "graphattend-types-"));
const installed = join(work, "node_modules", "graphattend");
const versions = Array.from({ length: 10 }, (_x, i) => `5.${i}`);
/** The first and the last version; all versions in `make test-all`. */
const wanted = process.env.GRAPHATTEND_ALL ? versions : [versions[0], versions.at(-1)];

/** The package is built with the newest version. */
const compiler = (version) =>
  version === versions.at(-1)
    ? join(js, "node_modules", "typescript")
    : join(folder, "node_modules", `typescript-${version}`);

/** Return the code blocks of a page: JavaScript and TypeScript, and the scripts in HTML. */
function blocks(text) {
  const found = [...text.matchAll(/^```(js|ts|tsx|html)\n(.*?)^```/gms)];
  return found.map(([, language, code]) => [
    language,
    language === "html" ? (/<script type="module">\n(.*?)<\/script>/s.exec(code)?.[1] ?? "") : code,
  ]);
}

before(() => {
  mkdirSync(installed, { recursive: true });
  for (const name of ["dist", "package.json"]) cpSync(join(js, name), join(installed, name), { recursive: true });
  for (const name of ["types", "results", "typed"]) cpSync(join(js, "test", `${name}.ts`), join(work, `${name}.mts`));
  for (const name of ["hnsw", "idb"]) {
    cpSync(join(js, "node_modules", name), join(work, "node_modules", name), { recursive: true });
  }
  // Declares the part of React that the hook uses.
  const react = join(work, "node_modules", "react");
  mkdirSync(react);
  writeFileSync(join(react, "package.json"), '{"name": "react", "types": "index.d.ts"}');
  writeFileSync(
    join(react, "index.d.ts"),
    `export function useState<T>(): [T | undefined, (x: T) => void];
    export function useEffect(effect: () => void | (() => void), depends: readonly unknown[]): void;
    export function useRef<T>(x: T): { current: T };`,
  );
  const pages = [
    "README.md",
    "js/README.md",
    ...readdirSync(join(root, "docs"))
      .filter((n) => n.endsWith(".md"))
      .map((n) => `docs/${n}`),
  ];
  for (const page of pages) {
    const name = page.replaceAll(/\W/g, "-");
    const found = blocks(readFileSync(join(root, page), "utf8"));
    // The scripts of a page continue each other; components and pages are independent.
    const joined = found
      .filter(([language]) => language === "js" || language === "ts")
      .map(([, code]) => code)
      .join("\n");
    if (joined) writeFileSync(join(work, `${name}.mts`), joined);
    found
      .filter(([language]) => language === "tsx" || language === "html")
      .forEach(([language, code], i) =>
        writeFileSync(join(work, `${name}-${i}.${language === "tsx" ? "tsx" : "mts"}`), code),
      );
  }
  assert.ok(readdirSync(work).length >= 6, "the examples are found");
  writeFileSync(
    join(work, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        target: "es2022",
        lib: ["es2020", "dom"],
        module: "esnext",
        moduleResolution: "bundler",
        skipLibCheck: false,
        types: [],
        jsx: "preserve",
      },
      include: ["*"],
    }),
  );
  if (wanted.some((version) => !existsSync(compiler(version)))) {
    const few = wanted.length === versions.length ? [] : ["--omit=dev"];
    execFileSync("npm", ["ci", ...few, "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
      stdio: "inherit",
      shell: process.platform === "win32",
    });
  }
});
after(() => rmSync(work, { recursive: true, force: true }));

describe("types", () => {
  for (const version of wanted) {
    it(`TypeScript ${version}`, () => {
      assert.ok(
        JSON.parse(readFileSync(join(compiler(version), "package.json"), "utf8")).version.startsWith(`${version}.`),
      );
      const { status, stdout } = spawnSync(process.execPath, [join(compiler(version), "bin", "tsc"), "-p", work], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout);
    });
  }

  it("what is declared is what comes back", async () => {
    const file = join(work, "typed.mjs");
    writeFileSync(
      file,
      transformSync(readFileSync(join(js, "test", "typed.ts"), "utf8"), { loader: "ts", target: "es2022" }).code,
    );
    const { run } = await import(pathToFileURL(file).href);
    const names = /^export const FUNCTIONS = (.*);$/m.exec(
      readFileSync(join(js, "src", "mechanisms.gen.ts"), "utf8"),
    )[1];
    assert.deepEqual(await run({ indexURL: vendored() }, JSON.parse(names)), [], "every function is called");
  });

  it("nothing is left open", () => {
    const text = ["index", "client", "attention", "objects", "train", "types", "schema", "mechanisms.gen"]
      .map((name) => readFileSync(join(installed, "dist", `${name}.d.ts`), "utf8"))
      .join("\n");
    // Fields of an error may be anything, and overloads hide their body.
    assert.deepEqual(text.match(/^.*\b(unknown|any)\b.*$/gm)?.filter((line) => !/^ *(\/?\*|\*)/.test(line)) ?? [], []);
  });
});
