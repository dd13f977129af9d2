// The JavaScript libraries that graphattend is compared with. Each takes a workload's sizes and data and returns variants:
// functions that compute once and return the result if it is cheap to read. The fastest variant counts. Constant keys, values
// and weights are resident if the library supports it.

import { onnxModel } from "./onnx.mjs";
import { plain } from "./plain.mjs";

/** Sorted neighbours padded to the largest degree: indices (nodes, most) and 0 or −1e9 to add to scores. */
function padded({ nodes }, { indptr, indices }) {
  let most = 0;
  for (let i = 0; i < nodes; i++) most = Math.max(most, indptr[i + 1] - indptr[i]);
  const index = new Int32Array(nodes * most),
    bias = new Float32Array(nodes * most).fill(-1e9),
    mask = new Float32Array(nodes);
  for (let i = 0; i < nodes; i++) {
    for (let e = indptr[i]; e < indptr[i + 1]; e++) {
      index[i * most + e - indptr[i]] = indices[e];
      bias[i * most + e - indptr[i]] = 0;
    }
    mask[i] = indptr[i + 1] > indptr[i] ? 1 : 0;
  }
  return { most, index, bias, mask };
}

const transposed = (x, rows, columns) => {
  const out = new Float32Array(x.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
  return out;
};

// W (D, H·E) as (H, E, D) or (H, D, E), for products with one head each.
function perHead(w, d, heads, last) {
  const width = d / heads,
    out = new Float32Array(w.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < d; i++) {
      for (let c = 0; c < width; c++)
        out[last === "d" ? (h * width + c) * d + i : (h * d + i) * width + c] = w[i * d + h * width + c];
    }
  }
  return out;
}

const scalar = (value) => [new Float32Array([value]), [1]];
const integers = (...values) => [BigInt64Array.from(values.map(BigInt)), [values.length]];

/** onnxruntime-web: models by kind of workload; [inputs, constants, nodes, output]. */
const onnx = {
  attention({ m, n, d, scale }, { k, v }) {
    const tail = [
      ["Softmax", ["s"], ["p"], { axis: -1 }],
      ["MatMul", ["p", "v"], ["out"]],
    ];
    const constants = { scale: scalar(scale), v: [v, [n, d]] };
    const variants = [
      [
        { q: [m, d] },
        { ...constants, kt: [transposed(k, n, d), [d, n]] },
        [["Mul", ["q", "scale"], ["y"]], ["MatMul", ["y", "kt"], ["s"]], ...tail],
        ["out", [m, d]],
      ],
    ];
    const row = { q: [1, m, d] };
    const attend = [
      "MultiHeadAttention",
      ["q", "k", "v"],
      ["out"],
      { num_heads: 1, scale: { float: scale } },
      "com.microsoft",
    ];
    if (m > 1) variants.push([row, { k: [k, [1, n, d]], v: [v, [1, n, d]] }, [attend], ["out", [1, m, d]]]);
    else {
      const column = [
        ["Mul", ["q", "scale"], ["y"]],
        ["MatMul", ["k", "y"], ["t"]],
        ["Reshape", ["t", "shape"], ["s"]],
        ...tail,
      ];
      variants.push([{ q: [d, 1] }, { ...constants, k: [k, [n, d]], shape: integers(1, n) }, column, ["out", [1, d]]]);
    }
    return variants;
  },
  copied({ n, d, scale }) {
    const tail = [
      ["Softmax", ["s"], ["p"], { axis: -1 }],
      ["MatMul", ["p", "v"], ["out"]],
    ];
    const inputs = { k: [n, d], v: [n, d] },
      constants = { scale: scalar(scale), shape: integers(1, n) };
    return [
      [
        { q: [1, d], ...inputs },
        constants,
        [
          ["Mul", ["q", "scale"], ["y"]],
          ["Transpose", ["k"], ["kt"], { perm: [1, 0] }],
          ["MatMul", ["y", "kt"], ["s"]],
          ...tail,
        ],
        ["out", [1, d]],
      ],
      [
        { q: [d, 1], ...inputs },
        constants,
        [["Mul", ["q", "scale"], ["y"]], ["MatMul", ["k", "y"], ["t"]], ["Reshape", ["t", "shape"], ["s"]], ...tail],
        ["out", [1, d]],
      ],
    ];
  },
  heads({ m, n, d, heads, scale }, { k, v, w_q, w_k, w_v, w_o }) {
    const width = d / heads,
      weights = { w_q: [w_q, [d, d]], w_o: [w_o, [d, d]], scale: scalar(scale) };
    if (m > 1) {
      const split = (x) => [
        ["MatMul", [x, `w_${x}`], [`${x}0`]],
        ["Reshape", [`${x}0`, "split"], [`${x}1`]],
        ["Transpose", [`${x}1`], [`${x}2`], { perm: [1, x === "k" ? 2 : 0, x === "k" ? 0 : 2] }],
      ];
      const nodes = [
        ...split("q"),
        ...split("k"),
        ...split("v"),
        ["Mul", ["q2", "scale"], ["q3"]],
        ["MatMul", ["q3", "k2"], ["s"]],
        ["Softmax", ["s"], ["p"], { axis: -1 }],
        ["MatMul", ["p", "v2"], ["c"]],
        ["Transpose", ["c"], ["c1"], { perm: [1, 0, 2] }],
        ["Reshape", ["c1", "join"], ["c2"]],
        ["MatMul", ["c2", "w_o"], ["out"]],
      ];
      const constants = {
        ...weights,
        w_k: [w_k, [d, d]],
        w_v: [w_v, [d, d]],
        split: integers(-1, heads, width),
        join: integers(-1, d),
      };
      return [[{ q: [m, d], k: [n, d], v: [n, d] }, constants, nodes, ["out", [m, d]]]];
    }
    const nodes = [
      ["MatMul", ["q", "w_q"], ["q0"]],
      ["Mul", ["q0", "scale"], ["q1"]],
      ["Reshape", ["q1", "split"], ["q2"]],
      ["MatMul", ["q2", "w_k"], ["u"]],
      ["Reshape", ["u", "rows"], ["u1"]],
      ["MatMul", ["u1", "kt"], ["s"]],
      ["Softmax", ["s"], ["p"], { axis: -1 }],
      ["MatMul", ["p", "v"], ["c"]],
      ["Reshape", ["c", "split_d"], ["c1"]],
      ["MatMul", ["c1", "w_v"], ["c2"]],
      ["Reshape", ["c2", "join"], ["c3"]],
      ["MatMul", ["c3", "w_o"], ["out"]],
    ];
    const constants = {
      ...weights,
      w_k: [perHead(w_k, d, heads, "d"), [heads, width, d]],
      w_v: [perHead(w_v, d, heads, "e"), [heads, d, width]],
      kt: [transposed(k, n, d), [d, n]],
      v: [v, [n, d]],
      split: integers(heads, 1, width),
      rows: integers(heads, d),
      split_d: integers(heads, 1, d),
      join: integers(1, d),
    };
    return [[{ q: [1, d] }, constants, nodes, ["out", [1, d]]]];
  },
  gemm({ m, k, n }, { b }) {
    return [[{ a: [m, k] }, { b: [b, [k, n]] }, [["MatMul", ["a", "b"], ["out"]]], ["out", [m, n]]]];
  },
  softmax({ m, n }) {
    return [[{ x: [m, n] }, {}, [["Softmax", ["x"], ["out"], { axis: -1 }]], ["out", [m, n]]]];
  },
  gat(sizes, inputs) {
    const { nodes, edges, d, heads, width } = sizes,
      { w, a_query, a_key, indptr, indices } = inputs;
    const { most, index, bias, mask } = padded(sizes, inputs),
      output = ["out", [nodes, heads, width]];
    const project = [
      ["MatMul", ["x", "w"], ["h0"]],
      ["Reshape", ["h0", "split"], ["h"]],
      ["Mul", ["h", "a_q"], ["hq"]],
      ["ReduceSum", ["hq", "last"], ["own"], { keepdims: 0 }],
      ["Mul", ["h", "a_k"], ["hk"]],
      ["ReduceSum", ["hk", "last"], ["theirs"], { keepdims: 0 }],
    ];
    const shared = {
      w: [w, [d, heads * width]],
      a_q: [a_query, [1, heads, width]],
      a_k: [a_key, [1, heads, width]],
      split: integers(nodes, heads, width),
      last: integers(2),
      axis: integers(1),
    };
    const leaky = ["LeakyRelu", ["e"], ["e1"], { alpha: { float: 0.2 } }];
    const dense = [
      ...project,
      ["Gather", ["theirs", "index"], ["t"], { axis: 0 }],
      ["Unsqueeze", ["own", "axis"], ["own1"]],
      ["Add", ["t", "own1"], ["e"]],
      leaky,
      ["Add", ["e1", "bias"], ["e2"]],
      ["Softmax", ["e2"], ["p"], { axis: 1 }],
      ["Mul", ["p", "mask"], ["p1"]],
      ["Unsqueeze", ["p1", "minus"], ["p2"]],
      ["Gather", ["h", "index"], ["g"], { axis: 0 }],
      ["Mul", ["g", "p2"], ["g1"]],
      ["ReduceSum", ["g1", "axis"], ["out"], { keepdims: 0 }],
    ];
    const constants = {
      ...shared,
      minus: integers(3),
      index: [BigInt64Array.from(index, BigInt), [nodes, most]],
      bias: [bias, [nodes, most, 1]],
      mask: [mask, [nodes, 1, 1]],
    };
    const source = new BigInt64Array(edges);
    for (let i = 0; i < nodes; i++) source.fill(BigInt(i), indptr[i], indptr[i + 1]);
    const sparse = [
      ...project,
      ["Gather", ["theirs", "target"], ["t"], { axis: 0 }],
      ["Gather", ["own", "source"], ["o"], { axis: 0 }],
      ["Add", ["t", "o"], ["e"]],
      leaky,
      ["Exp", ["e1"], ["e2"]],
      ["ScatterND", ["zero", "source2", "e2"], ["sum"], { reduction: "add" }],
      ["Gather", ["h", "target"], ["g"], { axis: 0 }],
      ["Unsqueeze", ["e2", "last"], ["e3"]],
      ["Mul", ["g", "e3"], ["g1"]],
      ["ScatterND", ["zeros", "source2", "g1"], ["total"], { reduction: "add" }],
      ["Add", ["sum", "tiny"], ["sum1"]],
      ["Unsqueeze", ["sum1", "last"], ["sum2"]],
      ["Div", ["total", "sum2"], ["out"]],
    ];
    const more = {
      ...shared,
      target: [BigInt64Array.from(indices, BigInt), [edges]],
      source: [source, [edges]],
      source2: [source, [edges, 1]],
      tiny: scalar(1e-30),
      zero: [new Float32Array(nodes * heads), [nodes, heads]],
      zeros: [new Float32Array(nodes * heads * width), [nodes, heads, width]],
    };
    return [
      [{ x: [nodes, d] }, constants, dense, output],
      [{ x: [nodes, d] }, more, sparse, output],
    ];
  },
};

async function onnxVariants(ort, kind, sizes, inputs) {
  const variants = [];
  for (const [given, constants, nodes, output] of onnx[kind]?.(sizes, inputs) ?? []) {
    const session = await ort.InferenceSession.create(onnxModel(given, constants, nodes, output), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
    });
    const feeds = Object.fromEntries(
      Object.entries(given).map(([name, shape]) => [name, new ort.Tensor("float32", inputs[name], shape)]),
    );
    const run = async () => (await session.run(feeds))[output[0]].data;
    run.close = () => session.release();
    variants.push(run);
  }
  return variants;
}

/** TensorFlow.js: functions on tensors that stay in its memory; results are not copied out. */
const tensorflow = {
  attention(tf, { m, n, d, scale }, { q, k, v }) {
    const [a, b, c, bt] = [
      tf.tensor(q, [m, d]),
      tf.tensor(k, [n, d]),
      tf.tensor(v, [n, d]),
      tf.tensor(transposed(k, n, d), [d, n]),
    ];
    return [
      () => tf.matMul(tf.softmax(tf.matMul(tf.mul(a, scale), b, false, true)), c),
      () => tf.matMul(tf.softmax(tf.matMul(tf.mul(a, scale), bt)), c),
    ];
  },
  copied(tf, { n, d, scale }, { q, k, v }) {
    return [
      () =>
        tf.matMul(
          tf.softmax(tf.matMul(tf.mul(tf.tensor(q, [1, d]), scale), tf.tensor(k, [n, d]), false, true)),
          tf.tensor(v, [n, d]),
        ),
    ];
  },
  heads(tf, { m, n, d, heads, scale }, inputs) {
    const width = d / heads,
      shapes = { q: [m, d], k: [n, d], v: [n, d], w_q: [d, d], w_k: [d, d], w_v: [d, d], w_o: [d, d] };
    const t = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(inputs[name], shape)]));
    const split = (x, w) => tf.transpose(tf.reshape(tf.matMul(x, w), [-1, heads, width]), [1, 0, 2]);
    if (m > 1) {
      return [
        () => {
          const weights = tf.softmax(tf.matMul(tf.mul(split(t.q, t.w_q), scale), split(t.k, t.w_k), false, true));
          return tf.matMul(tf.reshape(tf.transpose(tf.matMul(weights, split(t.v, t.w_v)), [1, 0, 2]), [m, d]), t.w_o);
        },
      ];
    }
    const keys = tf.tensor(perHead(inputs.w_k, d, heads, "d"), [heads, width, d]),
      values = tf.tensor(perHead(inputs.w_v, d, heads, "e"), [heads, d, width]);
    return [
      () => {
        const folded = tf.reshape(
          tf.matMul(tf.reshape(tf.mul(tf.matMul(t.q, t.w_q), scale), [heads, 1, width]), keys),
          [heads, d],
        );
        const sums = tf.matMul(tf.softmax(tf.matMul(folded, t.k, false, true)), t.v);
        return tf.matMul(tf.reshape(tf.matMul(tf.reshape(sums, [heads, 1, d]), values), [1, d]), t.w_o);
      },
    ];
  },
  gemm(tf, { m, k, n }, { a, b }) {
    const x = tf.tensor(a, [m, k]),
      y = tf.tensor(b, [k, n]);
    return [() => tf.matMul(x, y)];
  },
  softmax(tf, { m, n }, { x }) {
    const t = tf.tensor(x, [m, n]);
    return [() => tf.softmax(t)];
  },
  gat(tf, sizes, inputs) {
    const { nodes, d, heads, width } = sizes,
      { most, index, bias, mask } = padded(sizes, inputs);
    const x = tf.tensor(inputs.x, [nodes, d]),
      w = tf.tensor(inputs.w, [d, heads * width]),
      targets = tf.tensor(index, [nodes, most], "int32");
    const aq = tf.tensor(inputs.a_query, [1, heads, width]),
      ak = tf.tensor(inputs.a_key, [1, heads, width]),
      b = tf.tensor(bias, [nodes, most, 1]),
      nonempty = tf.tensor(mask, [nodes, 1, 1]);
    return [
      () => {
        const h = tf.reshape(tf.matMul(x, w), [nodes, heads, width]);
        const own = tf.reshape(tf.sum(tf.mul(h, aq), 2), [nodes, 1, heads]),
          theirs = tf.sum(tf.mul(h, ak), 2);
        const scores = tf.add(tf.leakyRelu(tf.add(own, tf.gather(theirs, targets)), 0.2), b);
        const e = tf.exp(tf.sub(scores, tf.max(scores, 1, true)));
        const p = tf.mul(tf.div(e, tf.sum(e, 1, true)), nonempty);
        return tf.sum(tf.mul(tf.gather(h, targets), tf.reshape(p, [nodes, most, heads, 1])), 1);
      },
    ];
  },
};

function tensorflowVariants(tf, kind, sizes, inputs) {
  return (tensorflow[kind]?.(tf, sizes, inputs) ?? []).map((compute) => {
    const run = () => void tf.dispose(tf.tidy(compute));
    run.result = () => {
      const tensor = tf.tidy(compute),
        data = tensor.dataSync();
      tensor.dispose();
      return data;
    };
    return run;
  });
}

function ruvectorVariants(ruvector, kind, sizes, inputs) {
  if (!["attention", "hyperbolic", "heads"].includes(kind) || sizes.n !== 1000 || (sizes.m ?? 1) > 1) return [];
  const { n, d } = sizes,
    { q } = inputs;
  const [keys, values] = [inputs.k, inputs.v].map((x) =>
    Array.from({ length: n }, (_, i) => x.slice(i * d, (i + 1) * d)),
  );
  // Its results differ (no projections, another definition of the ball), so they are checked only for attention.
  const unlike = (run) => Object.assign(run, { unlike: true });
  if (kind === "attention") return [() => ruvector.scaled_dot_attention(q, keys, values, sizes.scale)];
  if (kind === "heads") {
    const attn = new ruvector.WasmMultiHeadAttention(d, sizes.heads);
    return [unlike(() => attn.compute(q, keys, values))];
  }
  const attn = new ruvector.WasmHyperbolicAttention(d, 1);
  return [unlike(() => attn.compute(q, keys, values))];
}

/** Return the contenders for a workload: name → variants. */
export async function contenders({ ort, tf, ruvector }, kind, sizes, inputs) {
  return {
    javascript: plain[kind] ? [plain[kind](sizes, inputs)] : [],
    onnxruntime: await onnxVariants(ort, kind, sizes, inputs),
    tfjs: tensorflowVariants(tf, kind, sizes, inputs),
    ruvector: ruvectorVariants(ruvector, kind, sizes, inputs),
  };
}
