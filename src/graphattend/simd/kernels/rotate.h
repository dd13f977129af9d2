/* Products with rows that are rotated by many positions (rotate.c). */
#ifndef GA_ROTATE_H
#define GA_ROTATE_H

#include "rows.h"

typedef struct {
    double *frequency; /* the memory of all that follows, in whole vectors */
    /* The query's pairs and odd coordinate; sums of pairs and of odd coordinates; cosines and sines
     * of each row; the query turned back by each. */
    real *rates, *first, *second, last, *sums, last_sum, *table, *ahead;
    isize pairs, room, d, rows; /* 0 rows: the positions are too far apart for a table */
    double start;
    int interleaved;
} Turns;

/* Prepares for `count` positions. Returns DECLINED if a position or a frequency is out of bounds.
 */
#define turns_start K(turns_start)
Status turns_start(Turns *turns, const double *frequency, isize d, int interleaved,
                   const double *positions, isize position_step, isize count);
#define turns_end K(turns_end)
void turns_end(Turns *turns);
#define turns_query K(turns_query)
void turns_query(Turns *turns, const real *q);
/* The query's product with x (d,) rotated by one of the positions. */
#define turned_dot K(turned_dot)
real turned_dot(const Turns *turns, const real *x, double position);
/* The products of a query with n rows of x, each rotated by its position. */
#define turned_dots K(turned_dots)
void turned_dots(Turns *turns, const real *q, const real *x, isize stride, const double *positions,
                 isize position_step, isize n, real *out);
/* Adds w times x, rotated forward or `back`, to the sums. Returns the query's product with the
 * derivative of rotated x, or 0 unless it is `asked` for. */
#define turned_sum K(turned_sum)
real turned_sum(Turns *turns, const real *x, double position, int back, real w, int asked);
/* The gradients of n products turned by positions, scale * turned_dots, with gradients w: writes
 * those of q and of the positions, and writes or adds those of x. */
#define turned_gradients K(turned_gradients)
void turned_gradients(Turns *turns, const real *q, const real *x, isize stride,
                      const double *positions, isize position_step, isize n, const real *w,
                      real scale, int add, real *by_x, isize by_stride, real *by_q,
                      real *by_position);
/* out = factor times the sums, which are then reset to zero. */
#define turns_sums K(turns_sums)
void turns_sums(Turns *turns, real factor, real *out);

#endif
