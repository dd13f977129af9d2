// Entry point: loads the graph and the kernels first, then Python.

import type { Schema } from "graphattend";
import { render } from "preact";
import { pastedName } from "./compute/formats.js";
import { KernelCompute } from "./compute/kernels.js";
import { fromGallery } from "./gallery.js";
import { Session } from "./session.js";
import { DEFAULT_GRAPH } from "./state.js";
import { App } from "./views/app.js";
import { message } from "./words.js";

const root = document.getElementById("app")!;
if (/(^#|&)hide=header(&|$)/.test(location.hash)) root.replaceChildren();
const kernels = KernelCompute.start();
if (!/(^#|&)graph=/.test(location.hash)) void fromGallery(DEFAULT_GRAPH).catch(() => undefined);

async function start(): Promise<void> {
  const response = await fetch("gallery/schemas.json");
  const session = new Session((await response.json()) as Record<string, Schema>, location.hash);
  let scheduled = false;
  session.watch(() => {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      render(<App session={session} />, root);
    });
  });
  addEventListener("hashchange", () => session.goTo(location.hash));
  dropsOpen(session);
  await session.begin(kernels);
  await kernels.catch(() => undefined); // without kernels, Python answers
  await drawn();
  try {
    const { Python } = await import("./compute/python.js");
    await session.started(
      await Python.start((progress) => {
        session.progress = progress;
        session.tell();
      }),
    );
  } catch (error) {
    session.problem = message(error);
    session.busy = false;
    session.tell();
  }
  if ("serviceWorker" in navigator && document.documentElement.dataset["offline"] !== undefined)
    void navigator.serviceWorker.register("sw.js").catch(() => undefined);
}

/** Resolve when the first answer is on the screen, or after half a second, because hidden pages draw nothing. */
const drawn = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 500);
    requestAnimationFrame(() => setTimeout(resolve));
  });

/** Accept files dropped anywhere, and pasted graphs. */
function dropsOpen(session: Session): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) void file.arrayBuffer().then((buffer) => session.open(file.name, new Uint8Array(buffer)));
  });
  addEventListener("paste", (event) => {
    const target = event.target as HTMLElement | null,
      file = event.clipboardData?.files[0];
    if (target?.closest("input, textarea, select") != null) return;
    if (file !== undefined) void file.arrayBuffer().then((buffer) => session.open(file.name, new Uint8Array(buffer)));
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (file === undefined && text !== "") void session.open(pastedName(text), new TextEncoder().encode(text));
  });
}

start().catch((error: unknown) => {
  const alert = document.createElement("p");
  alert.setAttribute("role", "alert");
  alert.textContent = message(error);
  root.replaceChildren(alert);
});
