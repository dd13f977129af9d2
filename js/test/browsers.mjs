// The browser for the tests: Chromium or the one that GRAPHATTEND_BROWSER names, found and started as in tools/.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import * as playwright from "playwright";
import { lastLine, python3, root } from "./setup.mjs";
import * as webdriver from "./webdriver.mjs";

const ENGINES = { chromium: "Chromium", firefox: "Firefox", webkit: "WebKit" };
const name = process.env.GRAPHATTEND_BROWSER || "chromium";
if (!(name in ENGINES))
  throw new Error(`GRAPHATTEND_BROWSER: expected ${Object.keys(ENGINES).join(", ")}, got ${name}`);

/** The engine's name, for the titles of tests and for differences. */
export const engine = ENGINES[name];

const tools = join(root, "tools");
const options = JSON.parse(readFileSync(join(tools, "browsers.json"), "utf8"));

const find = (name) => lastLine(execFileSync(python3(), [join(tools, `${name}.py`)], { encoding: "utf8" }));

/** Run `use(context)` in a browser with a new profile folder, as users have; without one, caches are small and code is compiled each time. */
export async function inNewProfile(use, which = engine) {
  const folder = mkdtempSync(join(tmpdir(), "graphattend-profile-"));
  const name = which.toLowerCase();
  try {
    const launched = { executablePath: find(name), ...options[name] };
    const context = await playwright[name].launchPersistentContext(folder, launched);
    return await use(context).finally(() => context.close());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function launch(which = engine, args = []) {
  const name = which.toLowerCase();
  const executablePath = find(name);
  if (basename(executablePath) === "WebKitWebDriver") return webdriver.launch(executablePath);
  const more = args.length > 0 ? { args: [...options[name].args, ...args] } : {};
  return playwright[name].launch({ executablePath, ...options[name], ...more });
}

/** Open a page whose errors end the test. */
export async function open(browser, url) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return { page, problems };
}
