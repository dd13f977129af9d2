// Writes the few kinds of ONNX models that the benchmarks need, as hand-written protocol buffers (fields as in onnx.proto).

const varint = (value) => {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
};
const text = (value) => new TextEncoder().encode(value);
const join = (parts) => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
};
const number = (field, value) => Uint8Array.from([...varint(field << 3), ...varint(value)]);
const bytes = (field, value) => join([Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
const float = (field, value) =>
  join([Uint8Array.from([(field << 3) | 5]), new Uint8Array(new Float32Array([value]).buffer)]);

const FLOAT = 1;
const INT64 = 7;

function attribute(name, value) {
  const parts = [bytes(1, text(name))];
  if (Array.isArray(value)) parts.push(...value.map((item) => number(8, item)), number(20, 7));
  else if (typeof value === "string") parts.push(bytes(4, text(value)), number(20, 3));
  else if (typeof value === "object") parts.push(float(2, value.float), number(20, 1));
  else parts.push(number(3, value), number(20, 2));
  return bytes(5, join(parts));
}

function tensor(name, data, shape) {
  const type = data instanceof BigInt64Array ? INT64 : FLOAT;
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return join([...shape.map((size) => number(1, size)), number(2, type), bytes(8, text(name)), bytes(9, raw)]);
}

function valueInfo(name, shape) {
  const dims = join(shape.map((size) => bytes(1, number(1, size))));
  return join([bytes(1, text(name)), bytes(2, bytes(1, join([number(1, FLOAT), bytes(2, dims)])))]);
}

/**
 * Return the bytes of a model.
 * @param inputs name → shape of each run's inputs
 * @param constants name → [data, shape]
 * @param nodes [operator, inputs, outputs, attributes, domain]
 * @param output name and shape of the result
 */
export function onnxModel(inputs, constants, nodes, [output, shape]) {
  const graph = [bytes(2, text("graph"))];
  for (const [operator, from, to, attributes = {}, domain = ""] of nodes) {
    const node = [...from.map((name) => bytes(1, text(name))), ...to.map((name) => bytes(2, text(name)))];
    node.push(bytes(4, text(operator)), bytes(7, text(domain)));
    for (const [name, value] of Object.entries(attributes)) node.push(attribute(name, value));
    graph.push(bytes(1, join(node)));
  }
  for (const [name, [data, size]] of Object.entries(constants)) graph.push(bytes(5, tensor(name, data, size)));
  for (const [name, size] of Object.entries(inputs)) graph.push(bytes(11, valueInfo(name, size)));
  graph.push(bytes(12, valueInfo(output, shape)));
  const opset = (domain, version) => bytes(8, join([bytes(1, text(domain)), number(2, version)]));
  return join([number(1, 8), opset("", 17), opset("com.microsoft", 1), bytes(7, join(graph))]);
}
