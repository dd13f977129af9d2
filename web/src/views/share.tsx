// Export: the address, pictures, numbers, programs, and a frame for other pages.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Graph } from "../graph.js";
import type { Session } from "../session.js";
import { asJavaScript, asPython, csv, json, png, standalone } from "../share.js";
import { toHash } from "../state.js";
import { message } from "../words.js";

/** Most numbers in a program to paste. */
const MOST_PASTED = 20_000;

export function Share({ session, graph }: { session: Session; graph: Graph }): JSX.Element {
  const [said, say] = useState("");
  const [code, setCode] = useState("");
  const { state, chosen } = session,
    name = `attention-${state.mechanism}`;
  const picture = (): SVGSVGElement | null =>
    document.querySelector<SVGSVGElement>("main .picture svg, main svg[data-picture]");
  const act = async (work: () => Promise<string> | string): Promise<void> => {
    try {
      say(await work());
    } catch (error) {
      say(message(error));
    }
  };
  const copy = (text: string, what: string): Promise<void> =>
    act(async () => {
      setCode(text);
      if (navigator.clipboard === undefined) return `${what}: select and copy it below.`;
      try {
        await navigator.clipboard.writeText(text);
        return `${what} copied.`;
      } catch {
        return `${what}: select and copy it below.`;
      }
    });
  const button = (text: string, click: () => void, off = false): JSX.Element => (
    <button type="button" class="quiet" disabled={off} onClick={click}>
      {text}
    </button>
  );
  const large = graph.indices.length > MOST_PASTED || (graph.ownLatents === true && graph.latents.length > MOST_PASTED);
  const address = (): string => `${location.origin}${location.pathname}#${toHash(state)}`;
  return (
    <section id="share" class="card" aria-label="Share">
      <h2>Share</h2>
      <p class="help">
        The address of this page is what you see
        {state.graph !== "shared" && state.data === "" && !session.canRedirect
          ? ""
          : state.data === ""
            ? ", without your graph, which is too large for it"
            : ", your graph included"}
        .
      </p>
      <div class="row wrap">
        {button("Copy link", () => void copy(address(), "The link"))}
        {button("Copy as Python", () => void copy(asPython(graph, state), "The program"), large)}
        {button("Copy as JavaScript", () => void copy(asJavaScript(graph, state), "The program"), large)}
        {button(
          "Copy for embedding",
          () =>
            void copy(
              `<iframe src="${address().replaceAll("&", "&amp;").replaceAll('"', "&quot;")}&amp;hide=header" width="100%" height="900" title="Who attends to whom"></iframe>`,
              "The frame",
            ),
        )}
        {button(
          "SVG",
          () => void act(() => save(`${name}.svg`, "image/svg+xml", standalone(picture()!))),
          picture() === null,
        )}
        {button(
          "PNG",
          () => void act(async () => save(`${name}.png`, "image/png", await png(picture()!))),
          picture() === null,
        )}
        {button(
          "CSV",
          () => void act(() => save(`${name}.csv`, "text/csv", csv(graph, chosen!))),
          chosen === undefined,
        )}
        {button(
          "JSON",
          () => void act(() => save(`${name}.json`, "application/json", json(graph, chosen!, state))),
          chosen === undefined,
        )}
      </div>
      <p role="status">{said}</p>
      {code === "" ? null : (
        <>
          <label for="code">What was copied</label>
          <textarea id="code" readOnly rows={8} value={code} spellcheck={false} />
        </>
      )}
    </section>
  );
}

/** Let the browser save a file. */
export function save(name: string, type: string, content: BlobPart): string {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return `${name} saved.`;
}
