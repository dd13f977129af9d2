// Python in the pages: a button beside every block runs it, as it stands or edited, in one worker that all blocks share.
// The worker starts at the first click. Pages that are opened from disk have no workers, and no buttons.
const here = new URL(".", document.currentScript.src);
const available = document.currentScript.dataset.live === "yes" && location.protocol.startsWith("http");

let worker;
let next = 0;
const waiting = new Map();

/** Run code in the worker, which keeps the page's names between calls. */
function run(code, session) {
  if (!worker) {
    worker = new Worker(new URL("live-worker.js", here), { type: "module" });
    worker.onmessage = ({ data: { id, ...answer } }) => {
      waiting.get(id)?.(answer);
      waiting.delete(id);
    };
    worker.onerror = (event) => {
      for (const done of waiting.values())
        done({ text: `Python could not start: ${event.message ?? "no worker"}`, failed: true });
      waiting.clear();
      worker = undefined;
    };
  }
  return new Promise((resolve) => {
    waiting.set(++next, resolve);
    worker.postMessage({ id: next, code, session, base: here.href });
  });
}

/** The text of a block as code: without the prompts and the answers of a console. */
function codeOf(pre) {
  const lines = pre.textContent.replace(/\n$/, "").split("\n");
  if (!lines.some((line) => line.startsWith(">>> "))) return lines.join("\n");
  return lines
    .filter((line) => /^(>>>|\.\.\.)( |$)/.test(line))
    .map((line) => line.slice(4))
    .join("\n");
}

/** A block of Python with a button, and its answer below. */
class LiveExample extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    this.pre = this.querySelector("pre");
    this.console = /^>>> /m.test(this.pre.textContent);
    this.button = Object.assign(document.createElement("button"), {
      type: "button",
      className: "live-run",
      textContent: "Run",
    });
    this.button.title = "Run this block, and those above that it needs. The text can be edited.";
    this.button.addEventListener("click", () => void this.run());
    this.output = Object.assign(document.createElement("output"), { className: "live-output" });
    this.pre.contentEditable = this.console ? "false" : "plaintext-only";
    this.pre.tabIndex = 0;
    this.pre.setAttribute("role", "textbox");
    this.pre.setAttribute("aria-multiline", "true");
    this.pre.setAttribute("aria-label", "Python code");
    this.pre.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        void this.run();
      }
    });
    this.append(this.button, this.output);
  }

  /** Run what stands above and has not run yet, then this block. */
  async run() {
    const blocks = [...document.querySelectorAll("live-example")];
    const before = this.console
      ? []
      : blocks.slice(0, blocks.indexOf(this)).filter((b) => !b.console && b.ran === undefined);
    for (const block of [...before, this]) await block.compute();
  }

  async compute() {
    this.button.disabled = true;
    this.button.textContent = worker ? "Running …" : "Starting Python …";
    const { text, failed, milliseconds } = await run(codeOf(this.pre), this.console ? undefined : "page");
    this.ran = !failed;
    this.output.textContent = text || "Done; nothing was printed.";
    this.output.classList.toggle("live-failed", failed);
    this.output.dataset.milliseconds = milliseconds;
    this.nextElementSibling?.classList.toggle("live-static", this.nextElementSibling.matches(".live-printed"));
    this.button.disabled = false;
    this.button.textContent = "Run again";
  }
}

addEventListener("DOMContentLoaded", () => {
  if (!available) return;
  for (const block of document.querySelectorAll(
    "div.highlight-python:not(.not-live), div.highlight-pycon, div.highlight-default:has(.gp)",
  )) {
    const live = document.createElement("live-example");
    block.replaceWith(live);
    live.append(block);
  }
  customElements.define("live-example", LiveExample);
});
