// Formats of graph files.

export const SUFFIXES = [
  ".json",
  ".csv",
  ".tsv",
  ".txt",
  ".edges",
  ".edgelist",
  ".graphml",
  ".gexf",
  ".gml",
  ".net",
  ".mtx",
  ".adjlist",
  ".cyjs",
  ".npz",
  ".faiss",
  ".gz",
  ".xz",
  ".bz2",
];

/** Return a file name for pasted text, with the suffix of its likely format. */
export function pastedName(text: string): string {
  const suffix = /^\s*[{[]/.test(text)
    ? ".json"
    : /<gexf\b/.test(text)
      ? ".gexf"
      : /^\s*</.test(text)
        ? ".graphml"
        : /^\s*\*(vertices|network)/i.test(text)
          ? ".net"
          : /^\s*graph\s*\[/m.test(text)
            ? ".gml"
            : /^%%MatrixMarket/i.test(text)
              ? ".mtx"
              : /^[^\r\n]*\bsource\b[^\r\n]*,/i.test(text)
                ? ".csv"
                : ".txt";
  return `pasted${suffix}`;
}

/** Size limit of files in bytes. */
export const MOST_BYTES = 64 << 20;
