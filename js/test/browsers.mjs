// The browser for the tests: Chromium, or Firefox if GRAPHATTEND_BROWSER says so, as tools/ finds and starts it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as playwright from "playwright";
import { lastLine, python3, root } from "./setup.mjs";

/** The engine's name, for the titles of tests and for what differs. */
export const engine = process.env.GRAPHATTEND_BROWSER === "firefox" ? "Firefox" : "Chromium";

const tools = join(root, "tools");
const options = JSON.parse(readFileSync(join(tools, "browsers.json"), "utf8"));

export function launch(which = engine) {
  const name = which.toLowerCase();
  const executablePath = lastLine(execFileSync(python3(), [join(tools, `${name}.py`)], { encoding: "utf8" }));
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
