import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function SpeedView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="speed" heading="Speed" /></div>;
}
