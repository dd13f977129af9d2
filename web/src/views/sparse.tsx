import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function SparseView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="sparse" heading="Sparse" /></div>;
}
