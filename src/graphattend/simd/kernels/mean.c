/* Means in a product of spaces, given the weights of every row, and their gradients: midpoints
 * (metric.c) or Frechet means (frechet.c). A row averages all points of v, or with a graph those in
 * its list. */
#include "frechet.h"
#include "kernels.h"

#ifdef F64
#define PRECISE 1e-14
#else
#define PRECISE 1e-6f
#endif

static real square_root(real x) { return vsqrt(splat(x))[0]; }

/* The operands of both kernels. */
typedef struct {
    Spaces spaces;
    Neighbors lists, *near;
    isize rows, keys, longest, edges;
    const Array *v, *weights, *out;
    int at_v, at_weights, at_out;
    Batch batch;
} Means;

static Status get_means(Call *call, Means *m, const Array *v, const Array *weights,
                        const Array *spaces, const Array *indptr, const Array *indices,
                        const Array *out) {
    m->near = 0, m->v = v, m->weights = weights, m->out = out;
    m->rows = len(out, 2), m->keys = len(v, 2);
    if (!get_spaces(spaces, len(v, 1), &m->spaces) || len(out, 1) != len(v, 1))
        return wrong(call, "means: the spaces do not fit");
    if (given(indptr) != given(indices)) return DECLINED;
    if (given(indptr)) {
        if (v->ndim > 2 || out->ndim > 2 || weights->ndim != 1) return DECLINED;
        if (!get_neighbors(indptr, indices, m->rows, m->keys, &m->lists) ||
            weights->shape[0] != m->lists.edges)
            return wrong(call, "means: indptr, indices or weights do not fit");
        m->near = &m->lists;
    } else if (weights->ndim < 2 || len(weights, 2) != m->rows || len(weights, 1) != m->keys)
        return wrong(call, "means: the weights do not fit");
    m->longest = m->near ? m->lists.longest : m->keys;
    m->edges = m->near ? m->lists.edges : m->rows * m->keys;
    batch_start(&m->batch, out, 2);
    m->at_out = batch_add(&m->batch, out, 2), m->at_v = batch_add(&m->batch, v, 2);
    m->at_weights = m->near ? 0 : batch_add(&m->batch, weights, 2);
    if (m->at_v < 0 || m->at_weights < 0)
        return wrong(call, "means: leading axes do not broadcast");
    return DONE;
}

static real *line_at(const Batch *batch, int operand, const Array *array, isize i) {
    return (real *)batch->at[operand] + i * step(array, 2);
}

static real *edges_at(const Array *array, const Neighbors *near, const Batch *batch, int operand,
                      const List *list, isize i) {
    return near ? (real *)array->data + list->first * step(array, 1)
                : line_at(batch, operand, array, i);
}

/* The inner coordinates of a list's points in one space, and their gaps. */
static void gather(const Points *points, const List *list, int s, real *rows, real *gaps) {
    isize d = points->spaces->space[s].width;
    for (isize e = 0; e < list->count; e++) {
        isize j = member(list, e);
        Fact fact = fact_at(points, j, s);
        const real *from = point_at(points, j, s);
        if (list->near)
            fetch_row(list->near, points->data, points->step, points->spaces->width,
                      list->first + e);
        combine(fact.factor, from, 0, from, d, rows + e * d);
        gaps[e] = fact.gap;
    }
}

/* Weights with sum one; 0 if all are zero. */
static int share(const real *w, isize n, real *shares) {
    real total = 0;
    for (isize e = 0; e < n; e++) total += w[e];
    if (!(total > 0)) return 0;
    for (isize e = 0; e < n; e++) shares[e] = w[e] / total;
    return 1;
}

/* The state for one row. */
typedef struct {
    real *points, *gaps, *weights, *frechet;
} Room;

/* Sets the points and shares of row i in space s; returns 0 if all weights are zero. Without
 * neighbour lists, all rows of a batch entry have the same points, which are kept. */
static int place_row(const Means *m, const Points *values, const Room *room, int s, isize i,
                     const List *list, Frechet *f) {
    if (m->near || i == 0) gather(values, list, s, room->points, room->gaps);
    f->space = &m->spaces.space[s], f->count = list->count;
    f->points = room->points, f->gaps = room->gaps, f->weights = room->weights;
    frechet_place(f, room->frechet);
    return share(edges_at(m->weights, m->near, &m->batch, m->at_weights, list, i), list->count,
                 room->weights);
}

/* The midpoint as the first guess. */
static void guess(Frechet *f) {
    isize n = f->count, d = f->space->width;
    int ball = f->space->kind != SPHERE;
    real mass = 0;
    for (isize e = 0; e < n; e++) {
        real lambda = ball ? 2 / f->gaps[e] : 1;
        f->dots[e] = f->weights[e] * lambda;
        mass += f->weights[e] * (lambda - 1);
    }
    fill(f->mean, d, 0);
    add_weighted(f->points, d, n, f->dots, d, f->mean);
    real square = dot(f->mean, f->mean, d), inner = mass * mass - f->space->c * square;
    if (ball) scale_row(f->mean, d, 1 / (mass + (inner > 0 ? square_root(inner) : 0)));
    else if (square > 0) scale_row(f->mean, d, 1 / square_root(square));
    else f->mean[0] = 1;
}

/* Converts the inner coordinates of a mean to the point. */
static void settle(const Space *space, const real *mean, real *out) {
    if (space->kind == SHEET) {
        real lambda = 2 / (1 - space->c * dot(mean, mean, space->width));
        for (isize k = 0; k < space->width; k++) out[k] = lambda * mean[k];
        out[-1] = (lambda - 1) / space->root;
        return;
    }
    real radius = space->kind == SPHERE ? 1 / space->root : 1;
    for (isize k = 0; k < space->width; k++) out[k] = radius * mean[k];
    if (space->kind == BALL) stay_inside(space, out);
}

/* Converts a point in the space to its inner coordinates. */
static void unsettle(const Space *space, const real *out, real *mean) {
    real factor = space->kind == SPHERE ? space->root
        : space->kind == SHEET          ? 1 / (1 + space->root * out[-1])
                                        : 1;
    for (isize k = 0; k < space->width; k++) mean[k] = factor * out[k];
}

void inner_gradient(const Space *space, const real *mean, const real *grad, real *inner) {
    isize d = space->width;
    if (space->kind == SPHERE) {
        real along = dot(grad, mean, d) / space->root;
        for (isize k = 0; k < d; k++) inner[k] = grad[k] / space->root - along * mean[k];
    } else if (space->kind == SHEET) {
        real lambda = 2 / (1 - space->c * dot(mean, mean, d));
        real more = (dot(grad, mean, d) + grad[-1] / space->root) * lambda * lambda * space->c;
        for (isize k = 0; k < d; k++) inner[k] = lambda * grad[k] + more * mean[k];
    } else copy_row(grad, d, inner);
}

/* Returns 0 if a gap is too small for plain sums. */
static int far_from_boundary(const Spaces *spaces, const Fact *facts, isize count) {
    for (isize i = 0; i < count * spaces->count; i++)
        if (facts[i].gap < NEAR_BOUNDARY) return 0;
    return 1;
}

Status KERNEL(frechet)(Call *call) {
    const Array *a = call->array;
    Means m;
    Status status = get_means(call, &m, &a[frechet_v], &a[frechet_weights], &a[frechet_spaces],
                              &a[frechet_indptr], &a[frechet_indices], &a[frechet_out]);
    if (status != DONE) return status;
    isize d = m.spaces.width, n = m.longest, facts = m.keys * m.spaces.count;
    real *points = workspace_get((usize)(n * (d + 2) + frechet_room(n, d) + 16) * sizeof(real) +
                                 (usize)facts * sizeof(Fact));
    if (!points) return NO_MEMORY;
    real *gaps = points + n * d, *weights = gaps + n, *frechet = weights + n, bad = 0;
    Fact *all = (Fact *)(frechet + frechet_room(n, d) + 8);
    Room room = {points, gaps, weights, frechet};
    int fine = 1;
    void *state = work_begin(20.0 * (double)m.batch.count * (double)m.edges * (double)d);
    for (isize b = 0; b < m.batch.count && fine; b++, batch_next(&m.batch)) {
        Points values = {&m.spaces, (const real *)m.batch.at[m.at_v], step(m.v, 2), all, 0};
        fine = all_facts(&m.spaces, values.data, values.step, m.keys, all) &&
            far_from_boundary(&m.spaces, all, m.keys);
        for (int s = 0; s < m.spaces.count && fine; s++)
            for (isize i = 0; i < m.rows && fine; i++) {
                const Space *space = &m.spaces.space[s];
                List list = list_of(m.near, i, m.keys);
                real *out = line_at(&m.batch, m.at_out, m.out, i) + space->at;
                Frechet f;
                if (!place_row(&m, &values, &room, s, i, &list, &f)) {
                    fill(space->kind == SHEET ? out - 1 : out,
                         space->width + (space->kind == SHEET), 0);
                    continue;
                }
                if (space->kind == FLAT) {
                    fill(out, space->width, 0);
                    add_weighted(points, space->width, list.count, weights, space->width, out);
                } else {
                    guess(&f);
                    fine = frechet_search(&f);
                    settle(space, f.mean, out);
                }
                bad += note_row(out, space->width);
            }
    }
    work_end(state);
    workspace_free(points);
    return fine ? finished(bad) : DECLINED;
}

/* |w|^2, w . z and w . m of w = p - m. */
static void against(const real *p, const real *m, const real *z, isize d, real *square, real *by_z,
                    real *by_m) {
    vec a = splatv(0), b = a, c = a;
    isize k = 0;
    real rest[3] = {0, 0, 0};
    for (; k + LANES <= d; k += LANES) {
        vec w = LOADV(p + k) - LOADV(m + k);
        a = maddv(w, w, a), b = maddv(w, LOADV(z + k), b), c = maddv(w, LOADV(m + k), c);
    }
    for (; k < d; k++) {
        real w = p[k] - m[k];
        rest[0] += w * w, rest[1] += w * z[k], rest[2] += w * m[k];
    }
    *square = vec_sum(a) + rest[0], *by_z = vec_sum(b) + rest[1], *by_m = vec_sum(c) + rest[2];
}

/* The same of a Frechet mean: with z = H^-1 grad the weight e has the gradient log_e . z, and the
 * point that of w_e log_e . z, whose derivative is parallel transport, across the geodesic times t
 * / sinh t or t / sin t. The transport to p is a reflection across the logarithm, then one across w
 * = p - m (geometry/_ball.py); the logarithm is alpha w - nu m. */
static int frechet_gradient(Frechet *f, const real *grad, real *rows, real *by_weights) {
    isize n = f->count, d = f->space->width;
    int sphere = f->space->kind == SPHERE;
    real c = f->space->c, *m = f->mean, *z = f->step;
    f->cautious = 0;
    if (!frechet_look(f)) return 0;
    copy_row(grad, d, f->gradient);
    if (!frechet_solve(f, PRECISE)) return 0;
    real mm = dot(m, m, d), mz = dot(m, z, d), gap = sphere ? 1 : 1 - c * mm;
    for (isize e = 0; e < n; e++) {
        const real *p = f->points + e * d;
        real alpha = f->alpha[e], w = f->weights[e], away, wz, wm;
        against(p, m, z, d, &away, &wz, &wm);
        /* In the ball alpha is t / sinh t times a / b, as is the ratio of the metrics. */
        real stretch = sphere ? 1 : gap / f->gaps[e], ratio = alpha / stretch;
        real nu = sphere ? -alpha * away * (real)0.5 : alpha * c * away / gap,
             inner = alpha * wz - nu * mz;
        real square = alpha * alpha * away - 2 * alpha * nu * wm + nu * nu * mm;
        by_weights[e] += inner;
        w *= stretch;
        if (!(square > 0) || !(away > 0)) {
            combine(w, z, 0, z, d, rows + e * d);
            continue;
        }
        real along = inner / square *
            (1 - ratio); /* ratio z + along log: across times ratio, along times one */
        real log_part = along - 2 * (ratio * inner + along * square) / square;
        real turned = 2 * (ratio * wz + log_part * (alpha * away - nu * wm)) / away;
        combine(w * ratio, z, -w * log_part * nu, m, d, rows + e * d);
        real by_w = w * (log_part * alpha - turned);
        add_scaled(rows + e * d, p, by_w, d);
        add_scaled(rows + e * d, m, -by_w, d);
    }
    return 1;
}

Status KERNEL(mean_vjp)(Call *call) {
    const Array *a = call->array, *grad = &a[mean_vjp_grad], *dv = &a[mean_vjp_dv],
                *dw = &a[mean_vjp_dweights];
    const Array *means = &a[mean_vjp_means];
    int exact = given(means);
    Means m;
    Status status = get_means(call, &m, &a[mean_vjp_v], &a[mean_vjp_weights], &a[mean_vjp_spaces],
                              &a[mean_vjp_indptr], &a[mean_vjp_indices], grad);
    if (status != DONE) return status;
    isize d = m.spaces.width, n = m.longest, facts = m.keys * m.spaces.count, core = m.near ? 1 : 2;
    if (!same_batch(dv, grad) || len(dv, 1) != d || len(dv, 2) != m.keys ||
        (core == 1 ? dw->ndim != 1 : !same_batch(dw, grad)) || dw->ndim < core ||
        len(dw, 1) != len(m.weights, 1) || (core == 2 && len(dw, 2) != m.rows) ||
        (exact && (len(means, 1) != d || len(means, 2) != m.rows)))
        return wrong(call, "mean_vjp: shapes differ");
    int at_dv = batch_add(&m.batch, dv, 2), at_dw = m.near ? 0 : batch_add(&m.batch, dw, 2);
    int at_means = exact ? batch_add(&m.batch, means, 2) : 0;
    if (at_means < 0) return wrong(call, "mean_vjp: leading axes of the means do not broadcast");
    isize edges = edge_room(n), width = round_up(d, 8);
    real *points = workspace_get(
        (usize)(2 * n * d + 7 * edges + 4 * width + frechet_room(n, d) + 8) * sizeof(real) +
        (usize)facts * sizeof(Fact));
    if (!points) return NO_MEMORY;
    const Neighbors *near = m.near;
    real *rows = points + n * d, *gaps = rows + n * d, *weights = gaps + edges,
         *slopes = weights + edges, *dots = slopes + 2 * edges, *inner = dots + 3 * edges,
         *direction = inner + width, *frechet = direction + 3 * width;
    Midpoint midpoint = {dots, dots + edges, dots + 2 * edges, direction + width,
                         direction + 2 * width};
    Fact *all = (Fact *)(frechet + frechet_room(n, d) + 8);
    Room room = {points, gaps, weights, frechet};
    int fine = 1, once = !m.near && m.rows == 1; /* each row of dv is written once, without zeros */
    void *state = work_begin(4.0 * (double)m.batch.count * (double)m.edges * (double)d);
    for (isize b = 0; b < m.batch.count && fine; b++, batch_next(&m.batch)) {
        Points values = {&m.spaces, (const real *)m.batch.at[m.at_v], step(m.v, 2), all, 0};
        fine = all_facts(&m.spaces, values.data, values.step, m.keys, all) &&
            (!exact || far_from_boundary(&m.spaces, all, m.keys));
        for (isize j = 0; j < m.keys && !once; j++) fill(line_at(&m.batch, at_dv, dv, j), d, 0);
        for (isize i = 0; i < m.rows && fine; i++) {
            List list = list_of(m.near, i, m.keys);
            fill(edges_at(dw, m.near, &m.batch, at_dw, &list, i), list.count, 0);
        }
        for (int s = 0; s < m.spaces.count && fine; s++)
            for (isize i = 0; i < m.rows && fine; i++) {
                const Space *space = &m.spaces.space[s];
                List list = list_of(m.near, i, m.keys);
                Frechet f;
                int curved = exact && space->kind != FLAT;
                const real *w = edges_at(m.weights, m.near, &m.batch, m.at_weights, &list, i),
                           *g = line_at(&m.batch, m.at_out, grad, i) + space->at;
                real *by_weights = edges_at(dw, m.near, &m.batch, at_dw, &list, i);
                if (!(curved ? place_row(&m, &values, &room, s, i, &list, &f)
                             : share(w, list.count, weights))) {
                    for (isize j = 0; j < m.keys && once; j++)
                        fill(line_at(&m.batch, at_dv, dv, j) + space->at, space->width, 0);
                    continue;
                }
                if (curved) {
                    unsettle(space, line_at(&m.batch, at_means, means, i) + space->at, f.mean);
                    inner_gradient(space, f.mean, g, inner);
                    fine = frechet_gradient(&f, inner, rows, by_weights);
                } else
                    fine = midpoint_gradient(&values, &list, s, weights, g, &midpoint, direction,
                                             slopes, 2, by_weights);
                if (!fine) break;
                for (isize e = 0; e < list.count; e++) {
                    if (near)
                        fetch_row(near, (const real *)dv->data, step(dv, 2), d, list.first + e);
                    isize j = member(&list, e);
                    real *to = line_at(&m.batch, at_dv, dv, j) + space->at,
                         *from = rows + e * space->width;
                    if (!curved)
                        combine(slopes[2 * e], direction,
                                slopes[2 * e + 1] * fact_at(&values, j, s).factor,
                                point_at(&values, j, s), space->width, once ? to : from);
                    if (once && curved) copy_row(from, space->width, to);
                    if (!once) add_scaled(to, from, 1, space->width);
                }
            }
        for (isize j = 0; j < m.keys && fine; j++)
            outer_gradient(&m.spaces, values.data + j * values.step, all + j * m.spaces.count,
                           line_at(&m.batch, at_dv, dv, j));
    }
    work_end(state);
    workspace_free(points);
    return fine ? DONE : DECLINED;
}
