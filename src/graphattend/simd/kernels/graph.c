/* Neighbour lists (CSR): row i of (indptr, indices) lists the nodes that i attends to. Rows of
 * neighbours are read in place, without a gathered copy. */
#include "graph.h"
#include "expo.h"
#include "kernels.h"

int segments_valid(const long long *start, isize segments, isize edges) {
    if (segments < 0 || start[0] != 0 || start[segments] != (long long)edges) return 0;
    for (isize i = 0; i < segments; i++)
        if (start[i + 1] < start[i]) return 0;
    return 1;
}

int index_within(const Index *index, isize count, isize limit) {
    int outside = 0; /* negative numbers become large ones */
    if (index->wide)
        for (isize e = 0; e < count; e++)
            outside |= (unsigned long long)index->wide[e] >= (unsigned long long)limit;
    else
        for (isize e = 0; e < count; e++) outside |= (usize)(isize)index->narrow[e] >= (usize)limit;
    return !outside;
}

int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets,
                  Neighbors *n) {
    n->start = (const long long *)indptr->data;
    n->index = index_of(indices);
    n->edges = indices->shape[0];
    n->longest = 0;
    if (indptr->shape[0] != nodes + 1) return 0;
    void *state = work_begin((double)n->edges); /* otherwise threads would wait for these checks */
    int fit =
        segments_valid(n->start, nodes, n->edges) && index_within(&n->index, n->edges, targets);
    for (isize i = 0; fit && i < nodes; i++)
        n->longest = max_size(n->longest, (isize)(n->start[i + 1] - n->start[i]));
    work_end(state);
    return fit;
}

enum { TOGETHER = 4 };

void edge_dots(const Neighbors *n, const ByHead *by, isize head, isize first, isize count,
               const real *x, real *out) {
    const real *rows[TOGETHER], *base = by->data + head * by->head_step;
    for (isize i = 0; i < count; i += TOGETHER) {
        for (int r = 0; r < TOGETHER; r++) {
            isize edge = first + min_size(i + r, count - 1); /* the last one again beyond the end */
            fetch_row(n, base, by->node_step, by->width, edge);
            rows[r] = base + neighbor(n, edge) * by->node_step;
        }
        dots(TOGETHER, rows, x, by->width, out + i);
    }
    if (count) STOREW(out + count, splatw(out[count - 1]));
}

/* Writes a vector of columns but for the first `skip`, which were written before: the last vector
 * of a row may overlap the one before. */
#define STORE_FROM(v, lanes, store, skip, x, to)                                                   \
    do {                                                                                           \
        v stored = x;                                                                              \
        if (!(skip)) store(to, stored);                                                            \
        else                                                                                       \
            for (int lane = 1; lane < lanes; lane++)                                               \
                if (lane >= (skip)) (to)[lane] = stored[lane];                                     \
    } while (0)

/* `vectors` groups of columns: their sums stay in registers. */
#define SUM_COLUMNS(name, v, lanes, all, load, store, multiply_add)                                \
    INL void name(const int vectors, const isize skip, const Neighbors *n, const real *base,       \
                  isize node_step, isize first, isize count, const real *weights, real factor,     \
                  int add, real *out) {                                                            \
        v sum[8];                                                                                  \
        for (int i = 0; i < vectors; i++) sum[i] = all(0);                                         \
        for (isize e = 0; e < count; e++) {                                                        \
            fetch_row(n, base, node_step, vectors * lanes, first + e);                             \
            const real *row = base + neighbor(n, first + e) * node_step;                           \
            v w = all(weights[e]);                                                                 \
            for (int i = 0; i < vectors; i++)                                                      \
                sum[i] = multiply_add(w, load(row + lanes * i), sum[i]);                           \
        }                                                                                          \
        for (int i = 0; i < vectors; i++) {                                                        \
            v whole = sum[i] * all(factor);                                                        \
            if (add) whole += load(out + lanes * i);                                               \
            STORE_FROM(v, lanes, store, skip, whole, out + lanes * i);                             \
        }                                                                                          \
    }
SUM_COLUMNS(sum_wides, vw, WIDE, splatw, LOADW, STOREW, maddw)

/* Some columns of edge_pull. */
#define PULL_COLUMNS(name, v, lanes, all, load, store, multiply_add)                               \
    INL void name(const int vectors, const isize skip, const Neighbors *n, const real *base,       \
                  isize node_step, isize first, isize count, const real *pull, isize step,         \
                  const real *scale, const real *from, real *out) {                                \
        v sum[4], own[4];                                                                          \
        for (int i = 0; i < vectors; i++) sum[i] = all(0), own[i] = load(from + lanes * i);        \
        for (isize e = 0; e < count; e++) {                                                        \
            fetch_row(n, base, node_step, vectors * lanes, first + e);                             \
            const real *row = base + neighbor(n, first + e) * node_step;                           \
            v w = all(pull[e * step]), f = all(scale ? scale[e] : 1);                              \
            for (int i = 0; i < vectors; i++)                                                      \
                sum[i] = multiply_add(w, load(row + lanes * i) * f - own[i], sum[i]);              \
        }                                                                                          \
        for (int i = 0; i < vectors; i++) {                                                        \
            v whole = load(out + lanes * i) + sum[i];                                              \
            STORE_FROM(v, lanes, store, skip, whole, out + lanes * i);                             \
        }                                                                                          \
    }
PULL_COLUMNS(pull_wides, vw, WIDE, splatw, LOADW, STOREW, maddw)

#if WIDE > 4
SUM_COLUMNS(sum_fours, v4, 4, splat, LOAD, STORE, madd)
PULL_COLUMNS(pull_fours, v4, 4, splat, LOAD, STORE, madd)
#endif

/* The remaining columns of a row by vectors of `lanes`. */
#define REST(some, lanes)                                                                          \
    while (width >= lanes && j < width) {                                                          \
        isize skip = max_size(j + lanes - width, 0);                                               \
        j -= skip;                                                                                 \
        some(1, skip);                                                                             \
        j += lanes;                                                                                \
    }

void edge_sum(const Neighbors *n, const ByHead *by, isize head, isize first, isize count,
              const real *weights, real factor, int add, real *out) {
    const real *base = by->data + head * by->head_step;
    isize j = 0, width = by->width;
#define WIDES(vectors, skip)                                                                       \
    sum_wides(vectors, skip, n, base + j, by->node_step, first, count, weights, factor, add,       \
              out + j)
#define FOURS(vectors, skip)                                                                       \
    sum_fours(vectors, skip, n, base + j, by->node_step, first, count, weights, factor, add,       \
              out + j)
    /* Unless they are added to, columns may be written twice, so that a row takes fewer passes. */
#define GROUPS(vectors, least)                                                                     \
    while (j + (vectors) * WIDE <= width ||                                                        \
           (!add && (vectors) * WIDE <= width && j + (least) * WIDE < width)) {                    \
        j = min_size(j, width - (vectors) * WIDE);                                                 \
        WIDES(vectors, 0);                                                                         \
        j += (vectors) * WIDE;                                                                     \
    }
    GROUPS(8, 4)
    GROUPS(4, 1)
    REST(WIDES, WIDE)
#if WIDE > 4
    REST(FOURS, 4)
#endif
#undef GROUPS
#undef WIDES
#undef FOURS
    if (j == width) return;
    v4 sum = splat(0); /* fewer than four columns */
    for (isize e = 0; e < count; e++) {
        const real *row = base + neighbor(n, first + e) * by->node_step;
        sum = madd(splat(weights[e]), load_heads(row, width), sum);
    }
    sum *= splat(factor);
    store_heads(add ? sum + load_heads(out, width) : sum, width, out);
}

void edge_pull(const Neighbors *n, const ByHead *by, isize first, isize count, const real *pull,
               isize step, const real *scale, const real *from, real *out) {
    isize j = 0, width = by->width;
#define WIDES(vectors, skip)                                                                       \
    pull_wides(vectors, skip, n, by->data + j, by->node_step, first, count, pull, step, scale,     \
               from + j, out + j)
#define FOURS(vectors, skip)                                                                       \
    pull_fours(vectors, skip, n, by->data + j, by->node_step, first, count, pull, step, scale,     \
               from + j, out + j)
    for (; j + 4 * WIDE <= width; j += 4 * WIDE) WIDES(4, 0);
    REST(WIDES, WIDE)
#if WIDE > 4
    REST(FOURS, 4)
#endif
#undef WIDES
#undef FOURS
    if (j == width) return;
    v4 sum = load_heads(out, width), own = load_heads(from, width); /* fewer than four columns */
    for (isize e = 0; e < count; e++) {
        v4 row = load_heads(row_at(by, neighbor(n, first + e), 0), width);
        sum = madd(splat(pull[e * step]), row * splat(scale ? scale[e] : 1) - own, sum);
    }
    store_heads(sum, width, out);
}

/* Columns of edge_sum_heads; every `some` vectors lie in one head. */
#define HEAD_COLUMNS(name, v, lane_count, all, load, store, multiply_add)                          \
    INL void name(const int vectors, const int some, const Neighbors *n, const ByHead *by,         \
                  isize first, isize count, const real *weights, isize lanes, const real *factor,  \
                  int add, isize column, real *out, isize head_step) {                             \
        const real *base = by->data + column;                                                      \
        v sum[8];                                                                                  \
        isize head[8];                                                                             \
        for (int i = 0; i < vectors; i++) {                                                        \
            sum[i] = all(0);                                                                       \
            head[i] = i % some ? head[i - 1] : (column + lane_count * i) / by->width;              \
        }                                                                                          \
        for (isize e = 0; e < count; e++) {                                                        \
            fetch_row(n, base, by->node_step, lane_count * vectors, first + e);                    \
            const real *row = base + neighbor(n, first + e) * by->node_step;                       \
            v weight = all(0);                                                                     \
            for (int i = 0; i < vectors; i++) {                                                    \
                if (i % some == 0) weight = all(weights[e * lanes + head[i]]);                     \
                sum[i] = multiply_add(weight, load(row + lane_count * i), sum[i]);                 \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < vectors; i++) {                                                        \
            real *to =                                                                             \
                out + (column + lane_count * i - head[i] * by->width) + head[i] * head_step;       \
            v whole = sum[i] * all(factor[head[i]]);                                               \
            if (add) whole += load(to);                                                            \
            store(to, whole);                                                                      \
        }                                                                                          \
    }
HEAD_COLUMNS(sum_heads, v4, 4, splat, LOAD, STORE, madd)
#if WIDE > 4
HEAD_COLUMNS(sum_wide_heads, vw, WIDE, splatw, LOADW, STOREW, maddw)
#endif

void edge_sum_heads(const Neighbors *n, const ByHead *by, isize first, isize count,
                    const real *weights, isize lanes, const real *factor, int add, real *out,
                    isize head_step) {
    isize columns = by->heads * by->width, column = 0;
#define SUM(name, vectors, lane_count, some)                                                       \
    for (; column + lane_count * vectors <= columns; column += lane_count * vectors)               \
        name(vectors, some, n, by, first, count, weights, lanes, factor, add, column, out,         \
             head_step);
#if WIDE > 4
    if (by->width % WIDE == 0) {
        SUM(sum_wide_heads, 4, WIDE, 1)
        SUM(sum_wide_heads, 1, WIDE, 1)
    }
#elif WIDE == 4
    if (by->width % 16 == 0) { /* few weights, which stay in registers with the sums */
        SUM(sum_heads, 8, 4, 4)
        SUM(sum_heads, 4, 4, 4)
    }
#endif
    if (FULL) {
        SUM(sum_heads, 8, 4, 1)
    }
    SUM(sum_heads, 4, 4, 1)
    SUM(sum_heads, 1, 4, 1)
#undef SUM
}

/* Four heads of 4 `groups` columns, of some edges at once. */
INL void four_head_dots(const int groups, const int edges, const real *const *rows, isize row_step,
                        const real *x, isize x_step, isize lanes, real *out) {
    v4 sum[2][4];
    for (int r = 0; r < 4; r++)
        for (int e = 0; e < edges; e++) sum[e][r] = splat(0);
    for (int r = 0; r < 4; r++)
        for (int k = 0; k < groups; k++) {
            v4 own = LOAD(x + r * x_step + 4 * k);
            for (int e = 0; e < edges; e++)
                sum[e][r] = madd(LOAD(rows[e] + r * row_step + 4 * k), own, sum[e][r]);
        }
    for (int e = 0; e < edges; e++)
        STORE(out + e * lanes, hsum4(sum[e][0], sum[e][1], sum[e][2], sum[e][3]));
}

INL void four_heads(const int groups, const Neighbors *n, const ByHead *by, isize first,
                    isize count, const ByHead *x, isize node, isize h, isize lanes, real *out) {
    const real *own = row_at(x, node, h), *base = by->data + h * by->head_step, *rows[2];
    for (isize e = 0; e < count; e += 2) {
        int pair = e + 1 < count;
        for (int r = 0; r <= pair; r++) {
            fetch_row(n, base, by->node_step, 4 * by->width, first + e + r);
            rows[r] = base + neighbor(n, first + e + r) * by->node_step;
        }
        real *to = out + e * lanes + h;
        if (pair) four_head_dots(groups, 2, rows, by->head_step, own, x->head_step, lanes, to);
        else four_head_dots(groups, 1, rows, by->head_step, own, x->head_step, lanes, to);
    }
}

void edge_dots_heads(const Neighbors *n, const ByHead *by, isize first, isize count,
                     const ByHead *x, isize node, isize lanes, real *out) {
    for (isize h = 0; h < by->heads; h += 4) {
        isize heads = min_size(4, by->heads - h);
        if (heads == 4 && by->width == 8)
            four_heads(2, n, by, first, count, x, node, h, lanes, out);
        else if (heads == 4 && by->width == 16)
            four_heads(4, n, by, first, count, x, node, h, lanes, out);
        else
            for (isize e = 0; e < count; e++) {
                const real *row = row_at(by, neighbor(n, first + e), h), *own = row_at(x, node, h);
                v4 dots = splat(0);
                for (isize r = 0; r < heads; r++)
                    dots[r] = dot(row + r * by->head_step, own + r * x->head_step, by->width);
                STORE(out + e * lanes + h, dots);
            }
    }
}

/* exp of several vectors at once, as many as the size of the code justifies. */
INL void exp_some(const int count, const real *t, v4 *x) {
#if WIDE >= 4
    exp_vectors(count, t, x);
#else
    for (int i = 0; i < count; i++) x[i] = exp_small(t, x[i]);
#endif
}

void softmax_heads(real *scores, isize count, isize lanes, real *inverse) {
    const real *t = exp_table();
    v4 zero = splat(0);
    for (isize h = 0; h < lanes; h += 4) {
        v4 peak = splat(MINUS_INFINITY), sum = zero;
        for (isize e = 0; e < count; e++) peak = vmax(peak, LOAD(scores + e * lanes + h));
        peak = select((m4)(peak == splat(MINUS_INFINITY)), zero, peak);
        isize e = 0;
        for (; FULL && e + 4 <= count; e += 4) {
            v4 x[4];
            for (int i = 0; i < 4; i++) x[i] = LOAD(scores + (e + i) * lanes + h) - peak;
            exp_some(4, t, x);
            for (int i = 0; i < 4; i++) STORE(scores + (e + i) * lanes + h, x[i]), sum += x[i];
        }
        for (; e < count; e++) {
            v4 x = LOAD(scores + e * lanes + h) - peak;
            exp_some(1, t, &x);
            STORE(scores + e * lanes + h, x), sum += x;
        }
        STORE(inverse + h, select((m4)(sum == zero), zero, splat(1) / sum));
    }
}

void softmax_gradient(const real *weights, isize step, isize count, int plain, real *w, real *ds) {
    vw sums = splatw(0);
    for (isize e = 0; e < count; e++) w[e] = weights[e * step];
    STOREW(w + count, splatw(0));
    for (isize e = 0; e < count; e += WIDE) sums = maddw(LOADW(w + e), LOADW(ds + e), sums);
    vw mean = splatw(hsum(fold(sums)));
    for (isize e = 0; e < count; e += WIDE) {
        vw g = LOADW(ds + e) - mean;
        if (plain) STOREW(ds + e, g);
        else STOREW(ds + e, LOADW(w + e) * g);
    }
}
