// WebKitGTK through its WebDriver, with the part of Playwright's interface that the tests in browsers use.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/** Return an unused port. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** The page's side of `evaluate`: it calls back with the result, or with the error's message. */
const WRAPPED = `const [f, argument, done] = arguments;
  Promise.resolve().then(() => (0, eval)("(" + f + ")")(argument))
    .then((value) => done({ value }), (error) => done({ error: String(error) }));`;

class Page {
  constructor(send, session) {
    this.send = (method, path, body) => send(method, `/session/${session}${path}`, body);
  }

  /** WebDriver does not report errors of pages; tests notice them by missing results. */
  on() {}

  async goto(url) {
    await this.send("POST", "/url", { url });
  }

  async evaluate(f, argument = null) {
    // Inside the function's text, so that a policy against eval has no effect.
    const script = WRAPPED.replace('(0, eval)("(" + f + ")")', `(${f})`);
    const found = await this.send("POST", "/execute/async", { script, args: [null, argument] });
    if ("error" in found) throw new Error(found.error);
    return found.value;
  }

  async waitForFunction(f, argument, { timeout = 30_000 } = {}) {
    const value = typeof f === "string" ? f : `(${f})(argument)`;
    for (const end = Date.now() + timeout; Date.now() < end;) {
      const found = await this.evaluate(`async (argument) => Boolean(await ${value})`, argument);
      if (found) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`nothing after ${timeout} ms: ${f}`);
  }

  async textContent(selector) {
    return this.evaluate((selector) => globalThis.document.querySelector(selector).textContent, selector);
  }

  locator(selector) {
    return new Locator(this, `[...document.querySelectorAll(${JSON.stringify(selector)})]`);
  }

  async close() {
    await this.send("DELETE", "");
  }
}

/** Locate elements by the text of an expression. */
class Locator {
  constructor(page, found) {
    Object.assign(this, { page, found });
  }
  count() {
    return this.page.evaluate(`() => ${this.found}.length`);
  }
  allTextContents() {
    return this.page.evaluate(`() => ${this.found}.map((x) => x.textContent)`);
  }
  nth(i) {
    return new Locator(this.page, `[${this.found}[${i}]]`);
  }
  locator(selector) {
    const inside = `[...x.querySelectorAll(${JSON.stringify(selector)})]`;
    return new Locator(this.page, `${this.found}.flatMap((x) => ${inside})`);
  }
}

/** A running driver with one open page at a time: a new page closes the one that a failed test has left open. */
export async function launch(driver) {
  const port = await freePort();
  const child = spawn(driver, [`--port=${port}`, "--host=127.0.0.1"], { stdio: "ignore", detached: true });
  const send = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(method === "POST" ? { body: JSON.stringify(body ?? {}) } : {}),
    });
    const { value } = await response.json();
    if (value?.error !== undefined && value?.message !== undefined) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  for (let i = 0; ; i++) {
    try {
      await send("GET", "/status");
      break;
    } catch (error) {
      if (i === 300 || child.exitCode !== null) throw new Error("WebKitWebDriver does not answer", { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  let last;
  return {
    async newPage() {
      await last?.close().catch(() => {}); // it is closed already, as a rule
      const capabilities = { alwaysMatch: { timeouts: { script: 300_000, pageLoad: 60_000 } } };
      const { sessionId } = await send("POST", "/session", { capabilities });
      return (last = new Page(send, sessionId));
    },
    async close() {
      process.kill(-child.pid, "SIGKILL");
      await once(child, "exit");
    },
  };
}
