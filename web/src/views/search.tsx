import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function SearchView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="search" heading="Search" /></div>;
}
