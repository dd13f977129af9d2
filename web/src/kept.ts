// The visitor's file, kept for a reload of the tab.

const KEPT = "graphattend.graph";

/** Keep the file; a file too large for the browser's storage has to be opened again. */
export function keep(name: string, bytes: Uint8Array): void {
  try {
    sessionStorage.setItem(
      KEPT,
      JSON.stringify({ name, content: btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join("")) }),
    );
  } catch {
    sessionStorage.removeItem(KEPT);
  }
}

export function kept(): { name: string; bytes: Uint8Array<ArrayBuffer> } | undefined {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as { name: string; content: string } | null;
    return found === null
      ? undefined
      : { name: found.name, bytes: Uint8Array.from(atob(found.content), (c) => c.charCodeAt(0)) };
  } catch {
    return undefined;
  }
}

export const keptName = (): string | undefined => kept()?.name;
