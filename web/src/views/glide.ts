// Animated transitions between numbers.

import { useEffect, useRef } from "preact/hooks";

interface Glide {
  /** Call `set` with eased numbers between two values; only with the last if the visitor prefers reduced motion. */
  glide: (from: number, to: number, milliseconds: number, set: (x: number) => void) => void;
  stop: () => void;
}

export function useGlide(): Glide {
  const request = useRef(0);
  const stop = (): void => cancelAnimationFrame(request.current);
  useEffect(() => stop, []);
  const glide: Glide["glide"] = (from, to, milliseconds, set) => {
    stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return set(to);
    const begin = performance.now();
    const step = (now: number): void => {
      const t = Math.min(1, Math.max(0, now - begin) / milliseconds);
      set(from + (to - from) * t * t * (3 - 2 * t));
      if (t < 1) request.current = requestAnimationFrame(step);
    };
    request.current = requestAnimationFrame(step);
  };
  return { glide, stop };
}
