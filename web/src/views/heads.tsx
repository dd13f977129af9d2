import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function HeadsView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="heads" heading="Heads" /></div>;
}
