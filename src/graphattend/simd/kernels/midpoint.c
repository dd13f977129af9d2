/* The gradient of a midpoint in one space of a product of spaces (metric.h). Its points are read
 * where they are. */
#include "frechet.h"

#ifdef F64
#define CANCELLED 4e-3
#define ROUGH 1e-8 /* gap of a point whose gradient loses too many digits to cancellation */
#else
#define CANCELLED 0.05
#define ROUGH 1e-2f
#endif

/* See metric.h. */
int midpoint_gradient(const Points *values, const List *list, int s, const real *w,
                      const real *grad, const Midpoint *room, real *direction, real *slopes,
                      isize step, real *by_weights) {
    const Space *space = &values->spaces->space[s];
    isize n = list->count, d = space->width;
    real *dots = room->dots, *total = room->total, *inner = room->inner, c = space->c;
    int ball = space->kind == BALL || space->kind == SHEET;
    double mass = 0.0;
    real largest = 0, by_mass = 0;
    for (isize e = 0; e < n; e++) {
        Fact fact = fact_at(values, member(list, e), s);
        real lambda = ball ? fact.lambda : 1;
        largest = lambda > largest ? lambda : largest;
        room->factors[e] = fact.factor, room->lambdas[e] = lambda;
        dots[e] = w[e] * lambda * fact.factor;
        mass += (double)w[e] * ((double)lambda - 1.0);
    }
    if (space->kind == FLAT) copy_row(grad, d, direction);
    else {
        fill(total, d, 0);
        list_sum(values, list, s, dots, total);
        double square = square_of(total, d);
        if (space->kind == SPHERE) {
            real length = (real)__builtin_sqrt(square > 0.0 ? square : 1.0);
            combine(1 / length, total, 0, total, d, total);
            inner_gradient(space, total, grad, inner);
            combine(1 / length, inner, -dot(inner, total, d) / length, total, d, direction);
        } else { /* m = total / (mass + root), root^2 = mass^2 - c|total|^2 */
            double rest = mass * mass - (double)c * square,
                   root = __builtin_sqrt(rest > 0.0 ? rest : 0.0), divisor = mass + root;
            if (largest > 2 / ROUGH ||
                (largest > 2 / NEAR_BOUNDARY && rest < CANCELLED * mass * mass))
                return 0;
            if (divisor == 0.0) divisor = 1.0;
            if (space->kind == SHEET) {
                combine((real)(1.0 / divisor), total, 0, total, d, direction);
                inner_gradient(space, direction, grad, inner);
                grad = inner;
            }
            double by_divisor = -(double)dot(grad, total, d) / (divisor * divisor),
                   by_root = by_divisor / (root == 0.0 ? 1.0 : root);
            by_mass = (real)(by_divisor + by_root * mass);
            combine((real)(1.0 / divisor), grad, (real)-by_root * c, total, d, direction);
        }
    }
    list_dots(values, list, s, direction, dots);
    for (isize e = 0; e < n; e++) {
        real lambda = room->lambdas[e], mixed = dots[e] * room->factors[e];
        by_weights[e] += mixed * lambda + by_mass * (lambda - 1);
        /* lambda = 2 / gap and gap = 1 - c|p|^2 */
        slopes[e * step] = w[e] * lambda;
        slopes[e * step + 1] = ball ? c * lambda * lambda * w[e] * (mixed + by_mass) : 0;
    }
    return 1;
}
