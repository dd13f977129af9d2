import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function GeometryView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="geometry" heading="Geometry" /></div>;
}
