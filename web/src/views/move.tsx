import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function MoveView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="move" heading="Move" /></div>;
}
