/* Flash attention's working layout: the queries lie across the lanes of two vectors (a "panel"),
 * keys run down. Scores are computed transposed, S[key][query], so that everything softmax does is
 * vertical and neither K nor V is ever packed. */
#ifndef GA_PANEL_H
#define GA_PANEL_H

#include "mask.h"
#include "tile.h"

#define PANEL TILE_COLUMNS

/* out[k * PANEL + r] = scale * rows[r][k]; rows beyond `count` repeat the last one. */
static inline void pack_panel(const real *rows, isize stride, isize count, isize d, real scale,
                              real *out) {
    for (isize r = 0; r < PANEL; r++) {
        const real *from = rows + min_size(r, count - 1) * stride;
        for (isize k = 0; k < d; k++) out[k * PANEL + r] = from[k] * scale;
    }
}

/* S[key * lds + query] = K[key] . panel, for `keys` rows of K. */
INL void panel_scores_rows(const int rows, const real *K, isize ldk, isize d, const real *panel,
                           real *S, isize lds) {
    vw c[TILE_ROWS][2];
    tile_zero(rows, 2, c);
    tile_add(rows, 2, d, K, ldk, 1, panel, PANEL, c);
    tile_store(rows, 2, S, lds, c);
}

SHARED void panel_scores(const real *K, isize ldk, isize keys, isize d, const real *panel, real *S,
                         isize lds) {
    isize i = 0;
    for (; i + 4 <= keys; i += 4)
        panel_scores_rows(4, K + i * ldk, ldk, d, panel, S + i * lds, lds);
    for (; i < keys; i++) panel_scores_rows(1, K + i * ldk, ldk, d, panel, S + i * lds, lds);
}

/* out[q][j] = shrink[q] * out[q][j] + sum_key P[key][q] X[key][j] for the queries of a panel. */
INL void panel_sum_tile(const int vectors, const real *P, isize ldp, isize keys, const real *X,
                        isize ldx, real *out, isize ldo, const real *shrink) {
    vw c[TILE_ROWS][2];
    tile_load(TILE_ROWS, vectors, out, ldo, c);
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < vectors; j++) c[i][j] *= splatw(shrink[i]);
    tile_add(TILE_ROWS, vectors, keys, P, 1, ldp, X, ldx, c);
    tile_store(TILE_ROWS, vectors, out, ldo, c);
}

SHARED void panel_sum(const real *P, isize ldp, isize keys, const real *X, isize ldx, isize d,
                      real *out, isize ldo, const real *shrink) {
    isize j = 0;
    for (; j + 2 * WIDE <= d; j += 2 * WIDE)
        for (int h = 0; h < PANEL; h += TILE_ROWS)
            panel_sum_tile(2, P + h, ldp, keys, X + j, ldx, out + h * ldo + j, ldo, shrink + h);
    for (; j + WIDE <= d; j += WIDE)
        for (int h = 0; h < PANEL; h += TILE_ROWS)
            panel_sum_tile(1, P + h, ldp, keys, X + j, ldx, out + h * ldo + j, ldo, shrink + h);
    for (; j < d; j++) { /* the last columns, fewer than a vector, with a query in each lane */
        vw a = splatw(0), b = a;
        for (isize k = 0; k < keys; k++) {
            vw x = splatw(X[k * ldx + j]);
            a = maddw(LOADW(P + k * ldp), x, a), b = maddw(LOADW(P + k * ldp + WIDE), x, b);
        }
        for (int q = 0; q < WIDE; q++) {
            out[q * ldo + j] = out[q * ldo + j] * shrink[q] + a[q];
            out[(q + WIDE) * ldo + j] = out[(q + WIDE) * ldo + j] * shrink[q + WIDE] + b[q];
        }
    }
}

/* Masks the scores that the panel's queries must not see. Returns 1 if anything was changed.
 * `limits` are the limits of the queries, `first` is the tile's first key. */
static inline int panel_mask(real *S, isize lds, isize keys, isize first, const whole *limits,
                             const Mask *mask, isize query, isize queries) {
    if (mask->allowed || mask->added) {
        for (isize k = 0; k < keys; k++) {
            real *row = S + k * lds;
            isize at = (first + k) * mask->key_step;
            for (isize r = 0; r < PANEL; r++) {
                isize here = at + min_size(query + r, queries - 1) * mask->query_step;
                if (mask->added) row[r] += mask->added[here];
                else if (!mask->allowed[here]) row[r] = MINUS_INFINITY;
            }
        }
    }
    isize least = (isize)limits[0];
    for (int r = 1; r < PANEL; r++) least = min_size(least, (isize)limits[r]);
    if (least >= first + keys) return mask->allowed || mask->added;
    mw a = *(const mwu *)limits, b = *(const mwu *)(limits + WIDE);
    vw gone = splatw(MINUS_INFINITY);
    for (isize k = 0; k < keys; k++) {
        whole key = (whole)(first + k);
        mw here = key - (mw){0};
        real *row = S + k * lds;
        STOREW(row, selectw((mw)(here < a), LOADW(row), gone));
        STOREW(row + WIDE, selectw((mw)(here < b), LOADW(row + WIDE), gone));
    }
    return 1;
}

/* The limits of a panel's queries (0 for those beyond the last), and the largest. */
static inline isize panel_limits(const Visible *visible, isize query, isize queries,
                                 whole *limits) {
    isize highest = 0;
    for (isize r = 0; r < PANEL; r++) {
        isize limit = query + r < queries ? visible_limit(visible, query + r) : 0;
        limits[r] = (whole)limit;
        highest = max_size(highest, limit);
    }
    return highest;
}

#endif
