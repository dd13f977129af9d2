import { AttentionError, invalid, reason } from "../errors.js";
import { show } from "./operands.js";

/** Two builds of the same sources, the faster first. */
export const BACKENDS = ["wasm-relaxed-simd", "wasm-simd128"] as const;
export type Backend = (typeof BACKENDS)[number];

/** The builds by the instructions that they use. */
export const VARIANTS = { "wasm-relaxed-simd": "relaxed", "wasm-simd128": "simd128" } as const;
export type Build = (typeof VARIANTS)[Backend];

/** Nothing here can run the kernels. */
export class UnsupportedError extends AttentionError {
  static override readonly name = "UnsupportedError";

  constructor(message: string, cause?: unknown) {
    super("unsupported", message, { cause });
    this.name = "UnsupportedError";
  }
}

/** The smallest modules with one instruction that only such engines know: i32x4.splat, f32x4.relaxed_madd. */
const probe = (...body: number[]): Uint8Array<ArrayBuffer> => {
  const code = [0, ...body, 0x1a, 0x0b]; // no locals, the instructions, drop, end
  return Uint8Array.of(
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    4,
    1,
    0x60,
    0,
    0,
    3,
    2,
    1,
    0,
    10,
    code.length + 2,
    1,
    code.length,
    ...code,
  );
};
const SPLAT = [0x41, 0, 0xfd, 0x11];
const PROBES: Record<Backend, Uint8Array<ArrayBuffer>> = {
  "wasm-relaxed-simd": probe(...SPLAT, ...SPLAT, ...SPLAT, 0xfd, 0x85, 0x02),
  "wasm-simd128": probe(...SPLAT),
};
const TEXTS: Record<Backend, () => Promise<{ default: string }>> = {
  "wasm-relaxed-simd": () => import("wasm:relaxed"),
  "wasm-simd128": () => import("wasm:simd128"),
};

/** The backends that this engine can run. */
export function available(): Backend[] {
  if (typeof WebAssembly !== "object") return [];
  return BACKENDS.filter((backend) => WebAssembly.validate(PROBES[backend]));
}

/**
 * @internal Bytes from printable text: the first 256 are all values, the others stand for their places among these. Each is one of
 * 86 letters, after "|" or "}" one of the 86 or 84 places beyond. Unlike Base64 this keeps bytes whole, so that it is compressed
 * like the module itself.
 */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const letters = Array.from({ length: 95 }, (_x, i) => String.fromCharCode(32 + i)).filter(
    (c) => !"\"\\`$<'|}".includes(c),
  );
  const value = new Uint8Array(128);
  for (let i = 0; i < 86; i++) value[letters[i]!.charCodeAt(0)] = i;
  const bytes = new Uint8Array(text.length);
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const more = code === 124 ? 86 : code === 125 ? 172 : 0;
    bytes[n++] = more === 0 ? value[code]! : more + value[text.charCodeAt(++i)]!;
  }
  return bytes.slice(256, n).map((place) => bytes[place]!);
}

/** At once, which for so small a module is several times as fast; Chrome before version 114 wants it done in the background. */
function compileNow(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module | Promise<WebAssembly.Module> {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return WebAssembly.compile(bytes);
  }
}

const compiled = new Map<Backend, Promise<WebAssembly.Module>>();

/** The compiled module of a backend, once per page. */
async function compile(backend: Backend): Promise<WebAssembly.Module> {
  let module = compiled.get(backend);
  if (module === undefined) {
    module = TEXTS[backend]().then((text) => compileNow(decode(text.default)));
    compiled.set(backend, module);
    module.catch(() => compiled.delete(backend));
  }
  return module;
}

/** Choose a backend, or take the one asked for, and start it. */
export async function instantiate(wanted: unknown): Promise<{ backend: Backend; instance: WebAssembly.Instance }> {
  if (wanted !== undefined && !BACKENDS.includes(wanted as Backend)) {
    throw invalid("backend", `expected one of ${BACKENDS.join(", ")}, got ${show(wanted)}`, {
      expected: BACKENDS,
      actual: wanted,
    });
  }
  const possible = available();
  const backend = wanted === undefined ? possible[0] : possible.find((name) => name === wanted);
  if (backend === undefined) {
    const missing = wanted === undefined ? "SIMD in WebAssembly" : (wanted as Backend);
    throw new UnsupportedError(
      `this engine has no ${missing}: Chrome 91, Firefox 89, Safari 16.4, Node.js 16.4 or newer has SIMD`,
    );
  }
  try {
    return { backend, instance: await WebAssembly.instantiate(await compile(backend), {}) };
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) {
      throw new AttentionError("startup_failed", `the kernels could not be loaded (${reason(error)})`, {
        cause: error,
      });
    }
    throw new UnsupportedError(
      `WebAssembly is blocked here: ${reason(error)} (a Content-Security-Policy needs script-src 'wasm-unsafe-eval')`,
      error,
    );
  }
}
