// The tour's steps, the glossary, and options for teachers.

import type { JSX } from "preact";
import { addressOf, GLOSSARY, STOPS } from "../tour.js";
import { Card, type Seen } from "./bits.js";

export function GuideView(_: Seen): JSX.Element {
  return (
    <div class="wide">
      <Card id="steps-of-tour" heading="The tour" help="Each step is an address: link to the one you need.">
        <ol>
          {STOPS.map((stop, i) => (
            <li>
              <a href={addressOf(i + 1)}>{stop.heading}</a>
            </li>
          ))}
        </ol>
      </Card>
      <Card id="glossary" heading="Glossary">
        <dl>
          {GLOSSARY.map(([word, meaning]) => (
            <>
              <dt>{word}</dt>
              <dd>{meaning}</dd>
            </>
          ))}
        </dl>
      </Card>
      <Card id="teachers" heading="For teachers">
        <p>
          The address holds the state of the page. Add <code>&amp;hide=</code> with <code>header</code>,{" "}
          <code>views</code>, <code>graph</code>, <code>mechanism</code>, <code>node</code>, <code>options</code>,{" "}
          <code>share</code> or <code>tour</code> to take a part away, and <code>&amp;lock=mechanism</code> or{" "}
          <code>&amp;lock=options</code> to show it but hold it fast. Several are written one after the other:{" "}
          <code>&amp;hide=options&amp;hide=share</code>.
        </p>
        <p>
          In a page of yours: an <code>iframe</code> with that address, or the element{" "}
          <code>&lt;graph-attention graph="karate" mechanism="hyperbolic"&gt;</code> after loading <code>embed.js</code>
          .
        </p>
      </Card>
      <Card id="keys" heading="Keys">
        <dl>
          <dt>Tab, Shift Tab</dt>
          <dd>from control to control</dd>
          <dt>Arrow keys in a picture</dt>
          <dd>another node, or move the chosen point</dd>
          <dt>+ − 0 in a picture</dt>
          <dd>zoom in, out, whole graph</dd>
          <dt>M at a point that can be moved</dt>
          <dd>mask it, or show it again</dd>
          <dt>Space, Shift and an arrow key in a sparse pattern</dt>
          <dd>draw or erase a pair, draw on</dd>
          <dt>Ctrl Z, Ctrl Shift Z in a sparse pattern</dt>
          <dd>undo, redo</dd>
          <dt>Ctrl and wheel</dt>
          <dd>zoom at the pointer</dd>
        </dl>
      </Card>
    </div>
  );
}
