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

/* S[key * lds + query] = K[key] . panel, for `keys` rows of K (panel.c). */
#define panel_scores K(panel_scores)
void panel_scores(const real *K, isize ldk, isize keys, isize d, const real *panel, real *S,
                  isize lds);

/* out[q][j] = shrink[q] * out[q][j] + sum_key P[key][q] X[key][j] for the queries of a panel. */
#define panel_sum K(panel_sum)
void panel_sum(const real *P, isize ldp, isize keys, const real *X, isize ldx, isize d, real *out,
               isize ldo, const real *shrink);

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
