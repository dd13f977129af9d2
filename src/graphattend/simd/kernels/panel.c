/* The products of a panel of queries with rows of keys and of values. */
#include "panel.h"

/* S[key * lds + query] = K[key] . panel, for `keys` rows of K. */
INL void panel_scores_rows(const int rows, const real *K, isize ldk, isize d, const real *panel,
                           real *S, isize lds) {
    vw c[TILE_ROWS][2];
    tile_zero(rows, 2, c);
    tile_add(rows, 2, d, K, ldk, 1, panel, PANEL, c);
    tile_store(rows, 2, S, lds, c);
}

void panel_scores(const real *K, isize ldk, isize keys, isize d, const real *panel, real *S,
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

void panel_sum(const real *P, isize ldp, isize keys, const real *X, isize ldx, isize d, real *out,
               isize ldo, const real *shrink) {
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
