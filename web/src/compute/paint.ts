// Paints the edges and nodes of a large graph into an image; the more edges cross a pixel, the darker it is.

export interface Painting {
  from: Int32Array;
  to: Int32Array;
  positions: Float32Array;
  margin: number;
  side: number;
}
export interface Shot {
  x: number;
  y: number;
  zoom: number;
  width: number;
  line: Colour;
  dot: Colour;
}
export type Colour = readonly [number, number, number];

export function paint(
  { from, to, positions, margin, side }: Painting,
  { x: left, y: top, zoom, width, line, dot }: Shot,
): Uint8ClampedArray<ArrayBuffer> {
  const density = new Float32Array(width * width),
    scale = (width / side) * zoom,
    span = side - 2 * margin;
  const nodes = positions.length / 2,
    places = new Float32Array(positions.length);
  for (let i = 0; i < nodes; i++) {
    places[2 * i] = (margin + positions[2 * i]! * span - left) * scale;
    places[2 * i + 1] = (margin + positions[2 * i + 1]! * span - top) * scale;
  }
  for (let e = 0; e < from.length; e++) {
    const a = from[e]!,
      b = to[e]!;
    if (a !== b) addLine(density, width, places[2 * a]!, places[2 * a + 1]!, places[2 * b]!, places[2 * b + 1]!);
  }
  const each = Math.min(0.5, 0.05 + (900 / from.length) * zoom),
    log = Math.log(1 - each);
  const out = new Uint8ClampedArray(4 * width * width);
  for (let i = 0; i < density.length; i++) {
    if (density[i] === 0) continue;
    out[4 * i] = line[0];
    out[4 * i + 1] = line[1];
    out[4 * i + 2] = line[2];
    out[4 * i + 3] = 190 * (1 - Math.exp(log * density[i]!));
  }
  const radius = (Math.max(1, Math.min(4, 0.8 * Math.sqrt(zoom))) * width) / side;
  for (let i = 0; i < nodes; i++) addDot(out, width, places[2 * i]!, places[2 * i + 1]!, radius, dot);
  return out;
}

/** Draw an antialiased line of width 1, split between the two nearest pixels. */
function addLine(density: Float32Array, width: number, x0: number, y0: number, x1: number, y1: number): void {
  const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
  let [a0, b0, a1, b1] = steep ? [y0, x0, y1, x1] : [x0, y0, x1, y1];
  if (a0 > a1) [a0, b0, a1, b1] = [a1, b1, a0, b0];
  if (a1 < 0 || a0 >= width || Math.max(b0, b1) < 0 || Math.min(b0, b1) >= width) return;
  const slope = a1 - a0 < 1e-6 ? 0 : (b1 - b0) / (a1 - a0);
  const begin = Math.max(0, Math.round(a0)),
    end = Math.min(width - 1, Math.round(a1));
  const along = steep ? width : 1,
    across = steep ? 1 : width;
  for (let a = begin, b = b0 + slope * (begin - a0); a <= end; a++, b += slope) {
    const low = Math.floor(b),
      share = b - low;
    if (low >= 0 && low < width) density[a * along + low * across]! += 1 - share;
    if (low >= -1 && low < width - 1) density[a * along + (low + 1) * across]! += share;
  }
}

function addDot(out: Uint8ClampedArray, width: number, x: number, y: number, radius: number, colour: Colour): void {
  for (let j = Math.max(0, Math.floor(y - radius)); j <= Math.min(width - 1, Math.ceil(y + radius)); j++) {
    for (let i = Math.max(0, Math.floor(x - radius)); i <= Math.min(width - 1, Math.ceil(x + radius)); i++) {
      const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(i - x, j - y))),
        at = 4 * (j * width + i);
      for (let c = 0; c < 3; c++) out[at + c] = out[at + c]! * (1 - cover) + colour[c]! * cover;
      out[at + 3] = Math.max(out[at + 3]!, 230 * cover);
    }
  }
}
