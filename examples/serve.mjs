// Attention as a service: a server in Node.js.
//
// One connection for the process, keys prepared once, and a request is one query. With `workers` several interpreters share the queries.
// A wrong request is answered with the error's code and one line; the server goes on.
//
//   node serve.mjs [PORT]
//   curl -d '{"query": [1, 0, 0, 0]}' http://localhost:8080
import { createServer } from "node:http";
import { AttentionError, connect } from "graphattend";

const ga = await connect({ worker: true, ...(process.env.PYODIDE && { indexURL: process.env.PYODIDE }) });
const attention = await ga.create("scaled_dot_product", { dim: 4 });
const documents = Array.from({ length: 1000 }, (_, i) =>
  Float32Array.from({ length: 4 }, (_, j) => Math.sin(i * (j + 1))),
);
const prepared = await attention.prepare(documents, documents);

const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  try {
    let text = "";
    for await (const chunk of request) if ((text += chunk).length > 1e5) return answer(413, { message: "too long" });
    const { query } = JSON.parse(text);
    const { indices, weights } = await attention.attentionWeights(query, prepared, { topK: 3 });
    answer(200, { documents: Array.from(indices.data), weights: Array.from(weights.data) });
  } catch (error) {
    const known = error instanceof AttentionError || error instanceof SyntaxError;
    answer(known ? 400 : 500, { code: error.code ?? "bad_request", message: error.message });
  }
});
server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
process.on("SIGTERM", () => server.close(() => ga.close()));
