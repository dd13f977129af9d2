// bench.py inside Pyodide, in Node.js and in a page alike.

/** Start Pyodide; the result calls a function of bench.py and gives plain values. */
export async function start(loadPyodide, indexURL, source) {
  const pyodide = await loadPyodide({ indexURL });
  await pyodide.loadPackage(["graphattend"], { messageCallback: () => {} });
  pyodide.FS.writeFile("bench.py", source);
  const bench = pyodide.pyimport("bench");
  return (name, ...given) => {
    const found = bench[name](...given);
    if (typeof found !== "object") return found;
    const plain = found.toJs({ dict_converter: Object.fromEntries });
    found.destroy();
    return plain;
  };
}
