// The graphs that the page includes.

import type { Graph, Parameters } from "./graph.js";

export const GALLERY: Readonly<Record<string, string>> = {
  les_miserables: "Les Misérables",
  karate: "Karate club",
  animals: "Kinds of mammals",
  digits: "Handwritten digits",
  hnsw: "HNSW index",
};

const known = new Map<string, Promise<Graph>>();

export function fromGallery(name: string): Promise<Graph> {
  let found = known.get(name);
  if (found === undefined) {
    known.set(name, (found = fetched(`gallery/${name}.json`)));
    found.catch(() => known.delete(name));
  }
  return found;
}

async function fetched(address: string): Promise<Graph> {
  const response = await fetch(new URL(address, document.baseURI));
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  const graph = (await response.json()) as Graph;
  const typed = (p: Parameters): Parameters =>
    Object.fromEntries(
      Object.entries(p).map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) as never }]),
    );
  return {
    ...graph,
    parameters: Object.fromEntries(Object.entries(graph.parameters).map(([key, p]) => [key, typed(p)])),
  };
}
