// Files that are read as graphs.

export const SUFFIXES = [
  ".json", ".csv", ".tsv", ".txt", ".edges", ".edgelist", ".graphml", ".gexf", ".gml", ".net", ".mtx", ".adjlist", ".cyjs", ".npz", ".faiss", ".gz", ".xz", ".bz2",
];
