// The page's address, which holds the state.

/** Burst of address changes, and milliseconds per further one; Safari allows at most 100 in 30 seconds. */
const MOST_WRITES = 20,
  WRITE_EVERY = 400;

/** Writes the address, but only some of the many changes during a drag, because browsers limit the rate. */
export class Address {
  /** Remaining writes, the time of this count, and a scheduled write. */
  private writes = MOST_WRITES;
  private written = 0;
  private later: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly hash: () => string) {}

  /** Write the hash of the state, at once or later. */
  write(): void {
    if (this.later !== undefined) return;
    const now = performance.now();
    this.writes = Math.min(MOST_WRITES, this.writes + (now - this.written) / WRITE_EVERY);
    this.written = now;
    if (this.writes >= 1) {
      this.writes--;
      history.replaceState(null, "", `#${this.hash()}`);
      return;
    }
    const before = location.hash;
    this.later = setTimeout(() => {
      this.later = undefined;
      if (location.hash === before) this.write();
    }, WRITE_EVERY);
  }
}
