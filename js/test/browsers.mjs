// The browser for the tests: Chromium, or the one that GRAPHATTEND_BROWSER names, as tools/ finds and starts it.
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

/** The engine's name, for the titles of tests and for what differs. */
export const engine = ENGINES[name];

const tools = join(root, "tools");
const options = JSON.parse(readFileSync(join(tools, "browsers.json"), "utf8"));

export function launch(which = engine) {
  const name = which.toLowerCase();
  const executablePath = lastLine(execFileSync(python3(), [join(tools, `${name}.py`)], { encoding: "utf8" }));
  if (basename(executablePath) === "WebKitWebDriver") return webdriver.launch(executablePath);
  return playwright[name].launch({ executablePath, ...options[name] });
}

/** A page whose errors end the test. */
export async function open(browser, url) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return { page, problems };
}
