// The browser for the tests: Chromium or the one that GRAPHATTEND_BROWSER names, found and started as in tools/.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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

/** Start a browser with a profile folder, as users have; without one, caches are small and code is compiled each time. */
export function launchIn(folder, which = engine) {
  const name = which.toLowerCase();
  return playwright[name].launchPersistentContext(folder, { executablePath: find(name), ...options[name] });
}

export function launch(which = engine) {
  const name = which.toLowerCase();
  const executablePath = find(name);
  if (basename(executablePath) === "WebKitWebDriver") return webdriver.launch(executablePath);
  return playwright[name].launch({ executablePath, ...options[name] });
}

/** Open a page whose errors end the test. */
export async function open(browser, url) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return { page, problems };
}
