// The workloads as plain JavaScript loops over flat arrays, as a careful programmer writes them without a library.
// Each function takes a workload's sizes and inputs and returns a function that computes the result.

const transpose = (x, rows, columns) => {
  const out = new Float32Array(x.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
  return out;
};

// out (m, n) = factor · a (m, k) @ b (n, k)ᵀ; rows of both are contiguous, four columns at a time.
function productWithTransposed(out, a, b, m, n, k, factor = 1) {
  for (let i = 0; i < m; i++) {
    const row = i * k;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const b0 = j * k,
        b1 = b0 + k,
        b2 = b1 + k,
        b3 = b2 + k;
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0;
      for (let l = 0; l < k; l++) {
        const x = a[row + l];
        s0 += x * b[b0 + l];
        s1 += x * b[b1 + l];
        s2 += x * b[b2 + l];
        s3 += x * b[b3 + l];
      }
      const at = i * n + j;
      out[at] = s0 * factor;
      out[at + 1] = s1 * factor;
      out[at + 2] = s2 * factor;
      out[at + 3] = s3 * factor;
    }
    for (; j < n; j++) {
      let s = 0;
      for (let l = 0; l < k; l++) s += a[row + l] * b[j * k + l];
      out[i * n + j] = s * factor;
    }
  }
}

// out (m, n) = a (m, k) @ b (k, n); four rows of b at a time.
function product(out, a, b, m, n, k) {
  out.fill(0);
  for (let i = 0; i < m; i++) {
    const to = i * n;
    let l = 0;
    for (; l + 4 <= k; l += 4) {
      const x0 = a[i * k + l],
        x1 = a[i * k + l + 1],
        x2 = a[i * k + l + 2],
        x3 = a[i * k + l + 3];
      const b0 = l * n,
        b1 = b0 + n,
        b2 = b1 + n,
        b3 = b2 + n;
      for (let j = 0; j < n; j++) out[to + j] += x0 * b[b0 + j] + x1 * b[b1 + j] + x2 * b[b2 + j] + x3 * b[b3 + j];
    }
    for (; l < k; l++) for (let j = 0; j < n; j++) out[to + j] += a[i * k + l] * b[l * n + j];
  }
}

function softmaxRows(x, m, n, out = x) {
  for (let i = 0; i < m; i++) {
    const row = i * n;
    let top = -Infinity,
      sum = 0;
    for (let j = row; j < row + n; j++) if (x[j] > top) top = x[j];
    for (let j = row; j < row + n; j++) sum += out[j] = Math.exp(x[j] - top);
    const factor = 1 / sum;
    for (let j = row; j < row + n; j++) out[j] *= factor;
  }
}

function attention({ m, n, d, scale }, { q, k, v }) {
  const scores = new Float32Array(n),
    out = new Float32Array(m * d),
    row = new Float32Array(d);
  return () => {
    for (let i = 0; i < m; i++) {
      productWithTransposed(scores, q.subarray(i * d, (i + 1) * d), k, 1, n, d, scale);
      softmaxRows(scores, 1, n);
      product(row, scores, v, 1, d, n);
      out.set(row, i * d);
    }
    return out;
  };
}

function copied(sizes, { q, k, v }) {
  const room = { q: new Float32Array(q.length), k: new Float32Array(k.length), v: new Float32Array(v.length) };
  const compute = attention(sizes, room);
  return () => {
    room.q.set(q);
    room.k.set(k);
    room.v.set(v);
    return compute();
  };
}

// One query folds the projections, many queries project the keys: whichever is cheaper.
function heads({ m, n, d, heads: count, scale }, { q, k, v, w_q, w_k, w_v, w_o }) {
  const width = d / count,
    out = new Float32Array(m * d),
    projected = new Float32Array(m * d),
    joined = new Float32Array(m * d);
  if (m > 1) {
    const keys = new Float32Array(n * d),
      values = new Float32Array(n * d),
      scores = new Float32Array(n);
    return () => {
      product(projected, q, w_q, m, d, d);
      product(keys, k, w_k, n, d, d);
      product(values, v, w_v, n, d, d);
      joined.fill(0);
      for (let i = 0; i < m; i++) {
        for (let h = 0; h < count; h++) {
          const from = i * d + h * width;
          for (let j = 0; j < n; j++) {
            let s = 0;
            for (let c = 0; c < width; c++) s += projected[from + c] * keys[j * d + h * width + c];
            scores[j] = s * scale;
          }
          softmaxRows(scores, 1, n);
          for (let j = 0; j < n; j++) {
            const w = scores[j];
            for (let c = 0; c < width; c++) joined[from + c] += w * values[j * d + h * width + c];
          }
        }
      }
      product(out, joined, w_o, m, d, d);
      return out;
    };
  }
  const folded = new Float32Array(count * d),
    scores = new Float32Array(count * n),
    sums = new Float32Array(count * d);
  return () => {
    product(projected, q, w_q, 1, d, d);
    for (let h = 0; h < count; h++) {
      for (let i = 0; i < d; i++) {
        let s = 0;
        for (let c = 0; c < width; c++) s += w_k[i * d + h * width + c] * projected[h * width + c];
        folded[h * d + i] = s;
      }
    }
    productWithTransposed(scores, folded, k, count, n, d, scale);
    softmaxRows(scores, count, n);
    product(sums, scores, v, count, d, n);
    for (let h = 0; h < count; h++) {
      for (let c = 0; c < width; c++) {
        let s = 0;
        for (let i = 0; i < d; i++) s += sums[h * d + i] * w_v[i * d + h * width + c];
        joined[h * width + c] = s;
      }
    }
    product(out, joined, w_o, 1, d, d);
    return out;
  };
}

function gemm({ m, k, n }, { a, b }) {
  const out = new Float32Array(m * n),
    transposed = transpose(b, k, n);
  return () => {
    productWithTransposed(out, a, transposed, m, n, k);
    return out;
  };
}

function softmax({ m, n }, { x }) {
  const out = new Float32Array(x.length);
  return () => {
    softmaxRows(x, m, n, out);
    return out;
  };
}

function gat({ nodes, d, heads: count, width }, { x, w, a_query, a_key, indptr, indices }) {
  const inner = count * width,
    h = new Float32Array(nodes * inner),
    out = new Float32Array(nodes * inner);
  const own = new Float32Array(nodes * count),
    theirs = new Float32Array(nodes * count),
    weights = new Float32Array(nodes);
  return () => {
    product(h, x, w, nodes, inner, d);
    for (let i = 0; i < nodes; i++) {
      for (let g = 0; g < count; g++) {
        let s = 0,
          t = 0;
        for (let c = 0; c < width; c++) {
          const y = h[i * inner + g * width + c];
          s += y * a_query[g * width + c];
          t += y * a_key[g * width + c];
        }
        own[i * count + g] = s;
        theirs[i * count + g] = t;
      }
    }
    out.fill(0);
    for (let i = 0; i < nodes; i++) {
      const first = indptr[i],
        degree = indptr[i + 1] - first;
      for (let g = 0; g < count; g++) {
        let top = -Infinity,
          sum = 0;
        for (let e = 0; e < degree; e++) {
          const s = own[i * count + g] + theirs[indices[first + e] * count + g];
          weights[e] = s > 0 ? s : 0.2 * s;
          if (weights[e] > top) top = weights[e];
        }
        for (let e = 0; e < degree; e++) sum += weights[e] = Math.exp(weights[e] - top);
        for (let e = 0; e < degree; e++) {
          const factor = weights[e] / sum,
            from = indices[first + e] * inner + g * width;
          for (let c = 0; c < width; c++) out[i * inner + g * width + c] += factor * h[from + c];
        }
      }
    }
    return out;
  };
}

// Poincaré ball of curvature −1: softmax(−distance), values averaged by the gyromidpoint.
function hyperbolic({ n, d }, { q, k, v }) {
  const scores = new Float32Array(n),
    out = new Float32Array(d);
  return () => {
    let qq = 0;
    for (let c = 0; c < d; c++) qq += q[c] * q[c];
    for (let j = 0; j < n; j++) {
      let kk = 0,
        gap = 0;
      for (let c = 0; c < d; c++) {
        const y = k[j * d + c],
          difference = q[c] - y;
        kk += y * y;
        gap += difference * difference;
      }
      scores[j] = -2 * Math.asinh(Math.sqrt(gap / ((1 - qq) * (1 - kk))));
    }
    softmaxRows(scores, 1, n);
    out.fill(0);
    let total = 0;
    for (let j = 0; j < n; j++) {
      let vv = 0;
      for (let c = 0; c < d; c++) vv += v[j * d + c] * v[j * d + c];
      const factor = 2 / (1 - vv),
        w = scores[j] * factor;
      total += scores[j] * (factor - 1);
      for (let c = 0; c < d; c++) out[c] += w * v[j * d + c];
    }
    let square = 0;
    for (let c = 0; c < d; c++) square += (out[c] /= total) * out[c];
    const half = 1 / (1 + Math.sqrt(Math.max(0, 1 - square)));
    for (let c = 0; c < d; c++) out[c] *= half;
    return out;
  };
}

export const plain = { attention, copied, heads, gemm, softmax, gat, hyperbolic };
