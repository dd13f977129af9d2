// The browser for the tests: Chromium, or Firefox where GRAPHATTEND_BROWSER says so; the machine's own, or Playwright's.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, firefox } from "playwright";
import { root } from "./setup.mjs";

const CHROMIUM = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const FIREFOX = [
  process.env.FIREFOX,
  "/usr/bin/firefox",
  "/usr/bin/firefox-esr",
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];

/** The engine's name, for the titles of tests and for what differs. */
export const engine = process.env.GRAPHATTEND_BROWSER === "firefox" ? "Firefox" : "Chromium";

const installed = (places) => {
  const executablePath = places.find((path) => path && existsSync(path));
  return executablePath ? { executablePath } : {};
};

export function launch() {
  // "moz-": a Firefox as Mozilla or Debian make it, over WebDriver BiDi.
  if (engine === "Firefox") {
    const firefoxUserPrefs = JSON.parse(readFileSync(join(root, "tools", "firefox-preferences.json"), "utf8"));
    return firefox.launch({ channel: "moz-firefox", firefoxUserPrefs, ...installed(FIREFOX) });
  }
  return chromium.launch({
    ...installed(CHROMIUM),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}

/** A page whose errors end the test. */
export async function open(browser, url) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return { page, problems };
}
