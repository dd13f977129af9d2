/* Products of spaces of constant curvature for the kernels by distance. In its inner coordinates,
 * every space is flat, a ball or a unit sphere. Inner coordinates are `factor` times the given
 * ones: 1 in flat space and in the ball, 1 / |x| on the sphere. A point of the hyperboloid with
 * space-like part s and time t = sqrt(1 + c|s|^2) is the point s / (1 + t) of the ball. */
#ifndef GA_METRIC_H
#define GA_METRIC_H

#include "ball.h"
#include "graph.h"

enum { FLAT, BALL, SHEET, SPHERE, KINDS };
enum { MOST_SPACES = 16 };

typedef struct {
    int kind;
    isize at, width; /* the coordinates that are read: of the hyperboloid, the space-like ones */
    real c, root, share; /* |curvature|, its root, factor of the distance in the scores */
    real least;          /* smallest gap of a point inside the ball */
    double exact;        /* |curvature| as given: 1 - c|x|^2 next to the boundary tells it from c */
} Space;
typedef struct {
    Space space[MOST_SPACES];
    int count;
    isize width;
} Spaces;

/* The facts of one row in one space: gap = 1 - c|inner|^2 in the ball, else 1; lambda = 2 / gap in
 * the ball, else 1. */
typedef struct {
    real factor, gap, lambda;
} Fact;

/* The keys of one query: those of a list, or all keys if near = 0. */
typedef struct {
    const Neighbors *near;
    isize first, count;
} List;
INL isize member(const List *list, isize e) {
    return list->near ? neighbor(list->near, list->first + e) : e;
}
INL List list_of(const Neighbors *near, isize row, isize keys) {
    if (!near) return (List){0, 0, keys};
    return (List){near, (isize)near->start[row], (isize)(near->start[row + 1] - near->start[row])};
}

/* Rows of points, and their facts: (rows, spaces). */
typedef struct {
    const Spaces *spaces;
    const real *data;
    isize step;
    Fact *facts;
    int fresh; /* the facts are not yet computed; each is computed when its row is read */
} Points;
INL const real *point_at(const Points *points, isize row, int space) {
    return points->data + row * points->step + points->spaces->space[space].at;
}
INL Fact fact_at(const Points *points, isize row, int space) {
    return points->facts[row * points->spaces->count + space];
}

/* Reads the operand `spaces` of a kernel whose rows have this width. Returns 0 if it is invalid. */
#define get_spaces K(get_spaces)
int get_spaces(const Array *given, isize width, Spaces *spaces);

/* Returns 0 if a row is not a point inside its spaces, or too near to a boundary for the dtype. */
#define all_facts K(all_facts)
int all_facts(const Spaces *spaces, const real *rows, isize step, isize count, Fact *facts);

/* Inner coordinates (spaces->width) of a row. */
#define inner_row K(inner_row)
void inner_row(const Spaces *spaces, const real *row, const Fact *facts, real *inner);

/* Moves a result in the ball, which rounding may have put on the boundary, as far inside as the
 * dtype requires. */
#define stay_inside K(stay_inside)
void stay_inside(const Space *space, real *x);

/* Converts the gradient of a row's inner coordinates to that of the row, in place. */
#define outer_gradient K(outer_gradient)
void outer_gradient(const Spaces *spaces, const real *row, const Fact *facts, real *grad);

/* The lanes of a vector of columns, of which the last `count` are kept (0 < count < LANES). */
INL vec last_columns(vec v, isize count) {
    static const whole KEEP[2 * LANES] = {[LANES... 2 * LANES - 1] = -1};
    typedef whole lanes
        __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
    return (vec)((lanes)v & *(const lanes *)(KEEP + count));
}

/* |factor[r] rows[r] - q|^2 of four rows; without q, its square. `before` columns can be read
 * before the first one, from the rows and from q; with -1, where the larger code does not pay, the
 * last columns are read one by one. */
INL v4 apart4(const int scaled, const real *const *rows, const real *factor, const real *q, isize d,
              isize before) {
    vec sum[4];
    real tail[4] = {0, 0, 0, 0};
    for (int r = 0; r < 4; r++) sum[r] = splatv(0);
    isize k = 0;
#if WIDE > 4
    vw wide[4];
    for (int r = 0; r < 4; r++) wide[r] = splatw(0);
    for (; k + WIDE <= d; k += WIDE) {
        vw x = splatw(0);
        if (q) x = LOADW(q + k);
        for (int r = 0; r < 4; r++) {
            vw row = LOADW(rows[r] + k), y = (scaled ? row * splatw(factor[r]) : row) - x;
            wide[r] = maddw(y, y, wide[r]);
        }
    }
    for (int r = 0; r < 4; r++) sum[r] = fold(wide[r]);
#endif
    for (; k + LANES <= d; k += LANES) {
        vec x = splatv(0);
        if (q) x = LOADV(q + k);
        for (int r = 0; r < 4; r++) {
            vec row = LOADV(rows[r] + k), y = (scaled ? row * splatv(factor[r]) : row) - x;
            sum[r] = maddv(y, y, sum[r]);
        }
    }
    if (before >= 0 && k < d && before + d >= LANES) { /* in one vector with columns before them */
        isize last = d - LANES;
        vec x = splatv(0);
        if (q) x = LOADV(q + last);
        for (int r = 0; r < 4; r++) {
            vec row = LOADV(rows[r] + last),
                y = last_columns((scaled ? row * splatv(factor[r]) : row) - x, d - k);
            sum[r] = maddv(y, y, sum[r]);
        }
        k = d;
    }
    for (; k < d; k++)
        for (int r = 0; r < 4; r++) {
            real y = (scaled ? rows[r][k] * factor[r] : rows[r][k]) - (q ? q[k] : 0);
            tail[r] += y * y;
        }
    return vec_sum4(sum[0], sum[1], sum[2], sum[3]) + (v4){tail[0], tail[1], tail[2], tail[3]};
}

/* The angle between unit vectors, 0 ... pi, from the squares of their difference and of their sum.
 * It is halved three times; then the series of asin has a squared argument of at most sin^2(pi/8).
 */
#ifdef F64
enum { ASIN_TERMS = 18 };
#else
enum { ASIN_TERMS = 8 };
#endif
static const real ASIN_SERIES[18] __attribute__((unused)) = {
    1.0,
    0.16666666666666666,
    0.075,
    0.044642857142857144,
    0.030381944444444444,
    0.022372159090909092,
    0.017352764423076924,
    0.01396484375,
    0.011551800896139706,
    0.009761609529194078,
    0.008390335809616815,
    0.0073125258735988454,
    0.006447210311889649,
    0.005740037670841924,
    0.005153309682319905,
    0.004660143486915096,
    0.004240907093679363,
    0.003880964558837669,
};
#define ANGLE(name, v, all, add, root)                                                             \
    static inline v name(v square, v sum) {                                                        \
        v one = all(1), two = all(2), quarter = all((real)0.25);                                   \
        v s = square * quarter / (two * (one + root(sum * quarter)));                              \
        s = s / (two * (one + root(one - s)));                                                     \
        v p = all(ASIN_SERIES[ASIN_TERMS - 1]);                                                    \
        for (int i = ASIN_TERMS - 2; i >= 0; i--) p = add(p, s, all(ASIN_SERIES[i]));              \
        return all(8) * root(s) * p;                                                               \
    }
ANGLE(angle4, v4, splat, madd, vsqrt)
#if WIDE > 4
ANGLE(anglex, vx, splatx, maddx, vsqrtx)
#else
#define anglex angle4
#endif

/* |factor row + q|^2, which a difference near 2 does not determine precisely. */
static inline real sum_square(const real *row, real factor, const real *q, isize d) {
    real sum = 0;
    for (isize k = 0; k < d; k++) {
        real y = row[k] * factor + q[k];
        sum += y * y;
    }
    return sum;
}

/* Four points seen from q (inner coordinates, gap): the squares of the differences and, on the
 * sphere, of the sums. */
typedef struct {
    v4 square, sum, gaps;
} Sight;
INL Sight sight4(const Points *points, int s, const isize *at, const real *q, real gap) {
    const Space *space = &points->spaces->space[s];
    const real *rows[4], *here = q + space->at;
    Sight sight = {splat(0), splat(0), splat(1)};
    for (int r = 0; r < 4; r++) rows[r] = point_at(points, at[r], s);
    if (space->kind == FLAT) {
        sight.square = apart4(0, rows, 0, here, space->width, -1);
        return sight;
    }
    real factor[4];
    for (int r = 0; r < 4; r++) {
        Fact fact = fact_at(points, at[r], s);
        factor[r] = fact.factor, sight.gaps[r] = fact.gap * gap;
    }
    sight.square = space->kind == BALL ? apart4(0, rows, 0, here, space->width, -1)
                                       : apart4(1, rows, factor, here, space->width, -1);
    if (space->kind != SPHERE) return sight;
    sight.sum = splat(4) - sight.square;
    for (int r = 0; r < 4; r++)
        if (sight.square[r] > 3) sight.sum[r] = sum_square(rows[r], factor[r], here, space->width);
    return sight;
}

INL v4 distance4(const Space *space, const Sight *sight) {
    if (space->kind == FLAT) return vsqrt(sight->square);
    if (space->kind == SPHERE) return angle4(sight->square, sight->sum) / splat(space->root);
    return splat(2 / space->root) * asinh4(splat(space->root) * vsqrt(sight->square / sight->gaps));
}

/* The same for many points; `Sight` describes `other`. */
INL vx distances(const Space *space, vx square, vx other) {
    if (space->kind == FLAT) return vsqrtx(square);
    if (space->kind == SPHERE) return anglex(square, other) / splatx(space->root);
    return splatx(2 / space->root) * asinhx(splatx(space->root) * vsqrtx(square / other));
}

/* The gradients of `distances` in metric_rows.c and metric_vjp.c: with w = y - x, a distance d(x,
 * y) with gradient 1 has in inner coordinates the gradients beta w + gamma_x x and -beta w +
 * gamma_y y:
 *
 *   flat    beta = -1 / |w|, gamma = 0
 *   ball    beta = -2 / (|w| sqrt(a b + c|w|^2)), gamma_x = -beta c|w|^2 / a, gamma_y = -beta
 * c|w|^2 / b, a and b the gaps of x and y sphere  beta = -r / sin t, gamma = beta |w|^2 / 2, t the
 * angle
 *
 * Zero for points that are equal or opposite. */
#ifdef F64
#define COINCIDENT 1e-290
#else
#define COINCIDENT 1e-36f
#endif
#define SLOPES(name, v, m, all, choose, square_root)                                               \
    INL void name(const Space *space, v square, v other, v gap, v *beta, v *gamma_x, v *gamma_y) { \
        v zero = all(0), one = all(1), c = all(space->c);                                          \
        v inside = space->kind == FLAT ? square                                                    \
            : space->kind == SPHERE    ? square * other * all((real)0.25)                          \
                                       : square * (other + c * square);                            \
        v unit = all(space->kind == FLAT ? -1 : space->kind == SPHERE ? -1 / space->root : -2);    \
        m same = (m)((space->kind == SPHERE ? inside : square) <= all(COINCIDENT));                \
        *beta = choose(same, zero, unit / square_root(choose(same, one, inside)));                 \
        *gamma_x = *gamma_y = zero;                                                                \
        if (space->kind == SPHERE) *gamma_x = *gamma_y = *beta * square * all((real)0.5);          \
        else if (space->kind != FLAT) {                                                            \
            v bend = -*beta * c * square;                                                          \
            *gamma_x = bend / gap, *gamma_y = bend * gap / other;                                  \
        }                                                                                          \
    }
SLOPES(slopes4, v4, m4, splat, select, vsqrt)
#if WIDE > 4
SLOPES(slopesx, vx, mx, splatx, selectx, vsqrtx)
#else
#define slopesx slopes4
#endif

/* square[e] = |y - x|^2 of one space for the keys y of a list, and other[e] the product of the gaps
 * or, on the sphere, |x + y|^2; up to a multiple of four. Returns 0 if a key is not a point. */
#define sights K(sights)
int sights(const Points *keys, const List *list, int s, const real *q, real gap, real *square,
           real *other);

INL ByHead in_space(const Points *points, int s) {
    const Space *space = &points->spaces->space[s];
    return (ByHead){(real *)points->data + space->at, 0, 1, space->width, points->step, 0};
}
/* out = sum of w[e] times the rows of the list, in one space; it is added to out where the list is
 * all rows. */
#define list_sum K(list_sum)
void list_sum(const Points *points, const List *list, int s, const real *w, real *out);
/* out[e] = x . the rows of the list, in one space */
#define list_dots K(list_dots)
void list_dots(const Points *points, const List *list, int s, const real *x, real *out);

/* Arrays for the gradient of one midpoint: one number for each point, with space for whole vectors,
 * and rows. */
typedef struct {
    real *dots, *factors, *lambdas, *total, *inner;
} Midpoint;

/* Adds the gradients of the weights w, whose sum is one, given that of the midpoint in one space.
 * The gradient of point e is slopes[e * step] times `direction` plus slopes[e * step + 1] times the
 * point, in inner coordinates. Returns 0 if sums cancel. */
#define midpoint_gradient K(midpoint_gradient)
int midpoint_gradient(const Points *values, const List *list, int s, const real *w,
                      const real *grad, const Midpoint *room, real *direction, real *slopes,
                      isize step, real *by_weights);
/* Converts the gradient of a point to that of its inner coordinates, which are `mean`. */
#define inner_gradient K(inner_gradient)
void inner_gradient(const Space *space, const real *mean, const real *grad, real *inner);

/* The positions of four keys; beyond the end of the list, the last one is repeated. */
INL void four(const List *list, isize e, isize *at) {
    for (int r = 0; r < 4; r++) at[r] = member(list, min_size(e + r, list->count - 1));
}

#endif
