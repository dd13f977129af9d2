/* Attention by distance in a product of spaces (metric.h): scores, softmax and the midpoint in each
 * space in one pass, over all keys or over the neighbour lists of a graph. The midpoint of the
 * hyperboloid is the normalised sum of its points, that of the ball the same in its coordinates
 * (ball.h), that of the sphere the normalised sum. */
#include "metric.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* SHEET_GAP: the time of a point of the hyperboloid with a smaller gap loses too many digits. */
#ifdef F64
#define SHEET_GAP 0.05
#define SHORTEST 1e-140
#define LONGEST 1e140
#define RIM 1e-12      /* smallest distance of results from the boundary, in radii */
#define ROUNDING 5e-16 /* of a length near one, added to the caller's distance */
#define CANCELLED 4e-3
#else
#define SHEET_GAP 0.4f
#define SHORTEST 1e-16f
#define LONGEST 1e16f
#define RIM 1e-6
#define ROUNDING 6e-8
#define CANCELLED 0.25
#endif

static real square_root(real x) { return vsqrt(splat(x))[0]; }

int get_spaces(const Array *given, isize width, Spaces *spaces) {
    isize count = given->shape[0], at = 0;
    if (given->shape[1] != 5 || count < 1 || count > MOST_SPACES) return 0;
    for (isize s = 0; s < count; s++) {
        const double *row = (const double *)(given->data + s * given->strides[0]);
        if (!(row[0] >= 0 && row[0] < KINDS && row[1] >= 1 && row[1] <= (double)width)) return 0;
        if (row[0] != FLAT && !(row[2] > 0)) return 0;
        int kind = (int)row[0];
        isize size = (isize)row[1], first = kind == SHEET;
        if (size - first < 1 || at + size > width) return 0;
        real c = kind == FLAT ? 1 : (real)row[2];
        if (kind == BALL && !(row[4] > 0.0 && row[4] < 0.5)) return 0;
        spaces->space[s] = (Space){kind,
                                   at + first,
                                   size - first,
                                   c,
                                   square_root(c),
                                   (real)row[3],
                                   (real)(row[4] * (2.0 - row[4])),
                                   kind == FLAT ? 1.0 : row[2]};
        at += size;
    }
    spaces->count = (int)count, spaces->width = width;
    return at == width;
}

/* Computes the facts of four rows, of which the first `count` are needed. Returns 0 if one of these
 * is not a point of the space, which must not be flat. */
static int four_facts(const Space *space, const real *first, isize step, isize count, Fact *facts,
                      int apart) {
    const real *rows[4];
    for (isize r = 0; r < 4; r++) rows[r] = first + space->at + min_size(r, count - 1) * step;
    v4 one = splat(1), square = apart4(0, rows, 0, 0, space->width, -1), c = splat(space->c),
       length = vsqrt(space->kind == SHEET ? madd(c, square, one) : square);
    v4 factor = one / (space->kind == SHEET ? one + length : length), gap = one - c * square;
    int fine = 1;
    for (isize r = 0; r < min_size(4, count); r++) {
        Fact fact = {factor[r], 1, 1};
        if (space->kind == BALL) {
            fact = (Fact){1, gap[r], 0};
            if (!(fact.gap >= NEAR_BOUNDARY))
                fact.gap = ball_gap(rows[r], space->width, space->exact);
            fact.lambda = 2 / fact.gap;
            fine = fine && fact.gap >= space->least && fact.gap > LEAST_GAP;
        } else if (space->kind == SHEET) {
            fact.gap = 2 * fact.factor, fact.lambda = 1 + length[r];
            fine = fine && fact.gap > SHEET_GAP && rows[r][-1] * 0 == 0;
        } else fine = fine && length[r] > SHORTEST && length[r] < LONGEST;
        facts[r * apart] = fact;
    }
    return fine;
}

int all_facts(const Spaces *spaces, const real *rows, isize step, isize count, Fact *facts) {
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        int flat = space->kind == FLAT; /* its distances and means detect invalid points */
        for (isize i = 0; i < count; i += flat ? 1 : 4) {
            Fact *found = facts + i * spaces->count + s;
            if (flat) *found = (Fact){1, 1, 1};
            else if (!four_facts(space, rows + i * step, step, count - i, found, spaces->count))
                return 0;
        }
    }
    return 1;
}

void inner_row(const Spaces *spaces, const real *row, const Fact *facts, real *inner) {
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        if (space->kind == SHEET) inner[space->at - 1] = 0;
        for (isize j = space->at; j < space->at + space->width; j++)
            inner[j] = row[j] * facts[s].factor;
    }
}

void stay_inside(const Space *space, real *x) {
    real square = dot(x, x, space->width),
         most = (real)((1.0 - RIM) * (1.0 - ROUNDING)) / space->root;
    if (square > most * most) scale_row(x, space->width, most / square_root(square));
}

void outer_gradient(const Spaces *spaces, const real *row, const Fact *facts, real *grad) {
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        if (space->kind == FLAT || space->kind == BALL) continue;
        const real *x = row + space->at;
        real *g = grad + space->at, f = facts[s].factor, along = dot(x, g, space->width), less;
        if (space->kind == SPHERE) less = along * f * f * f;
        else {
            less = along * f * f * space->c / (1 / f - 1);
            g[-1] = 0;
        }
        for (isize j = 0; j < space->width; j++) g[j] = g[j] * f - x[j] * less;
    }
}

/* Prefetches four later rows of the lists and their facts, because the processor cannot predict
 * them. */
static void fetch(const Points *points, const List *list, isize e) {
    if (!list->near) return;
    isize numbers = points->spaces->count * (isize)(sizeof(Fact) / sizeof(real));
    for (isize r = list->first + e; r < list->first + e + 4; r++) {
        fetch_row(list->near, points->data, points->step, points->spaces->width, r);
        fetch_row(list->near, (const real *)points->facts, numbers, numbers, r);
    }
}

/* Computes the facts of a few rows that are read next. */
static int facts_of(const Points *points, isize first, isize count) {
    if (!points->fresh) return 1;
    const real *rows = points->data + first * points->step;
    return all_facts(points->spaces, rows, points->step, count,
                     points->facts + first * points->spaces->count);
}

/* Arrays for one number per key of a query, whose lengths are multiples of SPAN. */
typedef struct {
    real *scores, *square, *other; /* other: the product of the gaps, or |x + y|^2 on the sphere */
} Room;

int sights(const Points *keys, const List *list, int s, const real *q, real gap, real *square,
           real *other) {
    const Space *space = &keys->spaces->space[s];
    const real *here = q + space->at, *rows[4];
    real factor[4];
    isize at[4];
    for (isize e = 0; e < list->count; e += 4) {
        four(list, e, at);
        if (s == 0) {
            fetch(keys, list, e);
            if (!facts_of(keys, e, min_size(4, list->count - e))) return 0;
        }
        for (int r = 0; r < 4; r++) rows[r] = point_at(keys, at[r], s);
        if (space->kind != FLAT)
            for (int r = 0; r < 4; r++) {
                Fact fact = fact_at(keys, at[r], s);
                factor[r] = fact.factor, other[e + r] = fact.gap * gap;
            }
        int scaled = space->kind == SHEET || space->kind == SPHERE;
        STORE(square + e,
              scaled ? apart4(1, rows, factor, here, space->width, space->at)
                     : apart4(0, rows, 0, here, space->width, space->at));
    }
    if (space->kind != SPHERE) return 1;
    for (isize e = 0; e < list->count; e++) {
        isize j = member(list, e);
        real apart = square[e];
        other[e] = apart > 3
            ? sum_square(point_at(keys, j, s), fact_at(keys, j, s).factor, here, space->width)
            : 4 - apart;
    }
    return 1;
}

void list_sum(const Points *points, const List *list, int s, const real *w, real *out) {
    ByHead rows = in_space(points, s);
    isize width = rows.width, before = 4 - width;
    if (list->near && before > 0 && points->spaces->space[s].at >= before) {
        real sum[4]; /* with columns before them, each row is one vector */
        rows.data -= before, rows.width = 4;
        edge_sum(list->near, &rows, 0, list->first, list->count, w, 1, 0, sum);
        copy_row(sum + before, width, out);
    } else if (list->near) edge_sum(list->near, &rows, 0, list->first, list->count, w, 1, 0, out);
    else add_weighted(rows.data, rows.node_step, list->count, w, rows.width, out);
}

void list_dots(const Points *points, const List *list, int s, const real *x, real *out) {
    ByHead rows = in_space(points, s);
    if (list->near) edge_dots(list->near, &rows, 0, list->first, list->count, x, out);
    else row_dots(rows.data, rows.node_step, list->count, x, rows.width, out);
}

/* Scores of one query, given by its inner coordinates and facts. */
static int row_scores(const Points *keys, const List *list, const real *q, const Fact *own,
                      int root, const Room *room) {
    const Spaces *spaces = keys->spaces;
    isize n = list->count;
    fill(room->scores, round_up(n, SPAN), 0);
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        if (!sights(keys, list, s, q, own[s].gap, room->square, room->other)) return 0;
        vx share = splatx(-space->share);
        for (isize e = n; e < round_up(n, SPAN); e++) room->square[e] = 0, room->other[e] = 1;
        for (isize e = 0; e < n; e += SPAN) {
            vx d = distances(space, LOADX(room->square + e), LOADX(room->other + e));
            STOREX(room->scores + e, maddx(root ? d : share, d, LOADX(room->scores + e)));
        }
    }
    if (root)
        for (isize e = 0; e < n; e += SPAN)
            STOREX(room->scores + e,
                   splatx(-spaces->space[0].share) * vsqrtx(LOADX(room->scores + e)));
    return 1;
}

static void hide(real *scores, isize n, const Mask *mask, isize row) {
    for (isize i = 0; i < n; i++) {
        isize at = row * mask->query_step + i * mask->key_step;
        if (mask->added) scores[i] += mask->added[at];
        else if (!mask->allowed[at]) scores[i] = MINUS_INFINITY;
    }
}

/* The midpoint from copies of the rows, if the plain sums cancel. `wide` has space for 2 d doubles,
 * then n (d + 2) reals. */
static void careful_mean(const Points *points, const List *list, int s, const real *w, real *out,
                         double *wide) {
    const Space *space = &points->spaces->space[s];
    isize n = list->count, d = space->width;
    real *weights = (real *)(wide + 2 * d), *gaps = weights + n, *rows = gaps + n;
    for (isize e = 0; e < n; e++) {
        isize j = member(list, e);
        weights[e] = w[e], gaps[e] = fact_at(points, j, s).gap;
        copy_row(point_at(points, j, s), d, rows + e * d);
    }
    ball_midpoint(weights, gaps, rows, d, n, d, space->exact, out, wide);
}

/* The denominator of the sum of points, for the values of one query in one space. */
typedef struct {
    double mass;
    real largest; /* largest conformal factor of a point with a weight */
} Total;

enum { BLOCK = 64 };

/* Adds a part of a list to the sums in all spaces, given the weights. `c` is an array for the
 * factors of the rows. */
static void add_points(const Points *points, const List *list, const real *w, real *c, real *out,
                       Total *totals) {
    const Spaces *spaces = points->spaces;
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        if (space->kind == FLAT) {
            list_sum(points, list, s, w, out + space->at);
            continue;
        }
        double mass = 0.0;
        real largest = totals[s].largest;
        for (isize e = 0; e < list->count; e++) {
            Fact fact = fact_at(points, member(list, e), s);
            c[e] = w[e] * fact.lambda * fact.factor;
            mass += (double)w[e] * ((double)fact.lambda - 1.0);
            if (w[e] > (real)1e-8 && fact.lambda > largest) largest = fact.lambda;
        }
        totals[s].mass += mass, totals[s].largest = largest;
        list_sum(points, list, s, c, out + space->at);
    }
}

/* Computes the midpoint in one space from the sum. */
static void settle(const Points *points, const List *list, int s, const real *w, const Total *total,
                   real *out, double *wide) {
    const Space *space = &points->spaces->space[s];
    if (space->kind == FLAT) return;
    double square = square_of(out, space->width), mass = total->mass;
    if (space->kind == SPHERE) {
        if (square == 0.0)
            out[0] = 1, square = 1.0; /* the mean of a point and its opposite is arbitrary */
        scale_row(out, space->width, (real)(1.0 / (__builtin_sqrt(square) * (double)space->root)));
        return;
    }
    double inner = mass * mass - space->exact * square,
           rest = __builtin_sqrt(inner > 0.0 ? inner : 0.0);
    if (space->kind == SHEET) {
        scale_row(out, space->width, (real)(1.0 / rest));
        out[-1] = (real)(mass / (rest * (double)space->root));
        return;
    }
    if (total->largest > 2 / NEAR_BOUNDARY && !(inner > CANCELLED * mass * mass))
        careful_mean(points, list, s, w, out, wide);
    else scale_row(out, space->width, (real)(1.0 / (mass + rest)));
    stay_inside(space, out);
}

/* Computes the midpoints of a list, given weights with sum one. Returns 0 if a point is not inside
 * its space. */
static int midpoint(const Points *points, const List *list, const real *w, real *c, real *out,
                    double *wide) {
    Total totals[MOST_SPACES];
    for (int s = 0; s < points->spaces->count; s++) totals[s] = (Total){0.0, 0};
    if (!list->near) fill(out, points->spaces->width, 0);
    if (!points->fresh) add_points(points, list, w, c, out, totals);
    else
        for (isize e = 0; e < list->count;
             e += BLOCK) { /* while the rows are in the first-level cache */
            isize count = min_size(BLOCK, list->count - e);
            List some = {0, 0, count};
            Points rows = {points->spaces, points->data + e * points->step, points->step,
                           points->facts + e * points->spaces->count, 0};
            if (!facts_of(points, e, count)) return 0;
            add_points(&rows, &some, w + e, c, out, totals);
        }
    for (int s = 0; s < points->spaces->count; s++)
        settle(points, list, s, w, &totals[s], out + points->spaces->space[s].at, wide);
    return 1;
}

static int weights_fit(const Array *weights, const Neighbors *near, isize m, isize n) {
    if (!given(weights)) return 1;
    return near ? weights->ndim == 1 && weights->shape[0] == near->edges
                : weights->ndim >= 2 && len(weights, 2) == m && len(weights, 1) == n;
}

Status KERNEL(metric_attend)(Call *call) {
    const Array *q = &call->array[metric_attend_q], *k = &call->array[metric_attend_k],
                *v = &call->array[metric_attend_v];
    const Array *out = &call->array[metric_attend_out],
                *weights = &call->array[metric_attend_weights];
    const Array *indptr = &call->array[metric_attend_indptr],
                *indices = &call->array[metric_attend_indices];
    ByEdge gain = by_edge(&call->array[metric_attend_gain]),
           mixture = by_edge(&call->array[metric_attend_mixture]);
    int root = call->number[metric_attend_root] != 0.0;
    isize m = len(q, 2), n = len(k, 2), d = len(q, 1);
    Limits limits = {&call->array[metric_attend_mask], &(Array){.kind = ABSENT}, 0, 0, 0};
    Neighbors lists, *near = 0;
    Spaces spaces;
    if (!get_spaces(&call->array[metric_attend_spaces], d, &spaces))
        return wrong(call, "metric_attend: no such spaces");
    if (given(indptr) != given(indices) || given(out) != given(v)) return DECLINED;
    if (!given(out) && !given(weights)) return DECLINED;
    if (gain.data && (!given(indptr) || !given(out))) return DECLINED;
    if (mixture.data && !gain.data) return DECLINED;
    if (given(indptr)) {
        if (q->ndim > 2 || k->ndim > 2 || given(limits.mask)) return DECLINED;
        if (!get_neighbors(indptr, indices, m, n, &lists))
            return wrong(call, "metric_attend: indptr or indices do not fit");
        near = &lists;
    }
    if (len(k, 1) != d ||
        (given(v) && (len(v, 1) != d || len(v, 2) != n || len(out, 1) != d || len(out, 2) != m)) ||
        !weights_fit(weights, near, m, n) || !edges_fit(&gain, m, 1) ||
        (near && !edges_fit(&mixture, lists.edges, 1)) ||
        (given(out) && given(weights) && !near && !same_batch(out, weights)))
        return wrong(call, "metric_attend: shapes differ");
    Batch batch;
    batch_start(&batch, near ? q : given(out) ? out : weights, 2);
    int at_q = batch_add(&batch, q, 2), at_k = batch_add(&batch, k, 2), at_v = -1, at_out = -1,
        at_weights = -1;
    int fits = at_q >= 0 && at_k >= 0 && limits_batch(&limits, &batch, m, n);
    if (given(v))
        fits = fits && (at_v = batch_add(&batch, v, 2)) >= 0 &&
            (at_out = batch_add(&batch, out, 2)) >= 0;
    if (given(weights) && !near) fits = fits && (at_weights = batch_add(&batch, weights, 2)) >= 0;
    if (!fits) return wrong(call, "metric_attend: leading axes do not broadcast");
    isize most = round_up(near ? lists.longest : n, SPAN) + SPAN, facts = n * spaces.count;
    isize copies = 0; /* their memory is allocated before the work starts */
    for (int s = 0; s < spaces.count; s++)
        if (spaces.space[s].kind == BALL)
            copies = max_size(copies, most * (spaces.space[s].width + 2));
    double *wide = workspace_get((usize)(2 * d) * sizeof(double) +
                                 (usize)(copies + 3 * most + 2 * d) * sizeof(real) +
                                 (usize)(2 * facts + spaces.count) * sizeof(Fact));
    if (!wide) return NO_MEMORY;
    real *scores = (real *)(wide + 2 * d) + copies, *factors = scores + most,
         *inner = factors + 2 * most, *point = inner + d, bad = 0;
    Room room = {scores, factors, factors + most}; /* the factors of the values follow later */
    Fact *found = (Fact *)(point + d), *key_facts = found + spaces.count,
         *value_facts = key_facts + facts;
    int fine = 1, as_given = 1; /* the coordinates are the inner ones */
    for (int s = 0; s < spaces.count; s++)
        as_given = as_given && spaces.space[s].kind != SHEET && spaces.space[s].kind != SPHERE;
    void *state =
        work_begin((double)batch.count * (double)(near ? lists.edges : m * n) * (double)d);
    for (isize b = 0; b < batch.count && fine; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, n);
        /* A single query reads each row once, so the facts are computed at that time. */
        int fresh = m == 1 && !near;
        Points keys = {&spaces, (const real *)batch.at[at_k], step(k, 2), key_facts, fresh},
               values = keys;
        values.fresh = 0;
        fine = fresh || all_facts(&spaces, keys.data, keys.step, n, key_facts);
        if (given(v) && (batch.at[at_v] != batch.at[at_k] || step(v, 2) != step(k, 2))) {
            values =
                (Points){&spaces, (const real *)batch.at[at_v], step(v, 2), value_facts, fresh};
            fine = fine && (fresh || all_facts(&spaces, values.data, values.step, n, value_facts));
        }
        int same = m == n && !fresh && batch.at[at_q] == batch.at[at_k] && step(q, 2) == step(k, 2);
        for (isize i = 0; i < m && fine; i++) {
            const real *query = (const real *)batch.at[at_q] + i * step(q, 2), *here = query;
            real *to = given(out) ? (real *)batch.at[at_out] + i * step(out, 2) : 0;
            real share = gain.data ? gain.data[i * gain.edge_step] : 1;
            if (share == 0 && !given(weights)) continue;
            List list = list_of(near, i, n);
            const Fact *own = same ? key_facts + i * spaces.count : found;
            fine = same || all_facts(&spaces, query, 0, 1, found);
            if (!fine) break;
            if (!as_given) inner_row(&spaces, query, own, inner), here = inner;
            fine = row_scores(&keys, &list, here, own, root, &room);
            if (!fine) break;
            bad += note_row(scores, list.count);
            if (limits.mask->kind != ABSENT) hide(scores, n, &visible.mask, i);
            real total = list.count
                ? exp_and_sum(scores, scores, list.count, safe_peak(row_max(scores, list.count)))
                : 0;
            scale_row(scores, list.count, total == 0 ? 0 : 1 / total);
            if (given(weights))
                copy_row(scores, list.count,
                         near ? (real *)weights->data + list.first * step(weights, 1)
                              : (real *)batch.at[at_weights] + i * step(weights, 2));
            if (mixture.data)
                add_rows(1, (const real *const *)&scores, &share, list.count,
                         mixture.data + list.first);
            if (!to) continue;
            real *into = gain.data ? point : to;
            if (total == 0) fill(into, d, 0);
            else fine = midpoint(&values, &list, scores, factors, into, wide);
            if (gain.data) add_rows(1, (const real *const *)&into, &share, d, to);
            bad += note_row(to, d);
        }
    }
    work_end(state);
    workspace_free(wide);
    return fine ? finished(bad) : DECLINED;
}
