import type { JSX } from "preact";
import { Card, type Seen } from "./bits.js";
export function TrainView(_: Seen): JSX.Element {
  return <div class="wide"><Card id="train" heading="Train" /></div>;
}
