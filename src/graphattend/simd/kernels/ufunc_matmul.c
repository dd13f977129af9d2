/* NumPy's matmul loop. Operands may have any row and column steps; those without a unit step are
 * copied. */
#include "gemm.h"
#include "ufunc.h"

extern void *malloc(usize);
extern void free(void *);

typedef struct {
    real *data;
    isize row, column;
} Strided;

static int has_unit_step(Strided x, isize rows, isize columns) {
    return x.column == 1 || x.row == 1 || (rows == 1 && columns == 1);
}

static Strided transposed(Strided x) { return (Strided){x.data, x.column, x.row}; }

/* Copies row by row to *room and advances it. */
static Strided gathered(Strided x, isize rows, isize columns, real **room) {
    Strided to = {*room, columns, 1};
    for (isize i = 0; i < rows; i++)
        for (isize j = 0; j < columns; j++)
            to.data[i * columns + j] = x.data[i * x.row + j * x.column];
    *room += rows * columns;
    return to;
}

/* c (m x p) = a (m x n) b (n x p); 0 if there is no memory to work in. */
static int product(isize m, isize n, isize p, Strided a, Strided b, Strided c) {
    /* C' = B' A' where C lies by columns; a product by a vector has its rows in C'. */
    if (c.row == 1 && (c.column != 1 || (p == 1 && m > 1)))
        return product(p, n, m, transposed(b), transposed(a), transposed(c));
    int copy_a = !has_unit_step(a, m, n) || (m <= FEW_ROWS && a.column != 1),
        copy_b = !has_unit_step(b, n, p);
    int copy_c = c.column != 1;
    isize size = copy_a * m * n + copy_b * n * p + copy_c * m * p + multiply_workspace(p, n);
    real few[512], *many = size > 512 ? malloc((usize)size * sizeof(real)) : few, *room = many;
    if (!many) return 0;
    if (copy_a) a = gathered(a, m, n, &room);
    if (copy_b) b = gathered(b, n, p, &room);
    Matrix left = {a.data, a.row, a.column}, right = {b.data, b.row, b.column};
    if (copy_c) {
        multiply_matrices(m, p, n, left, right, room, p, 0, room + m * p);
        for (isize i = 0; i < m; i++)
            for (isize j = 0; j < p; j++) c.data[i * c.row + j * c.column] = room[i * p + j];
    } else {
        multiply_matrices(m, p, n, left, right, c.data, c.row, 0, room);
    }
    if (many != few) free(many);
    return 1;
}

/* signature (m,n),(n,p)->(m,p) with a leading loop; steps: 3 of that loop, then row and column of
 * a, b, c */
LOOP(matmul) {
    isize m = dimensions[1], n = dimensions[2], p = dimensions[3], size = sizeof(real);
    int usable = m > 0 && n > 0 && p > 0;
    for (int i = 3; i < 9; i++) usable = usable && steps[i] % size == 0;
    if (!usable) {
        ORIGINAL(matmul)(args, dimensions, steps, data);
        return;
    }
    for (isize outer = 0; outer < dimensions[0]; outer++) {
        char *at[3] = {args[0] + outer * steps[0], args[1] + outer * steps[1],
                       args[2] + outer * steps[2]};
        Strided a = {(real *)at[0], steps[3] / size, steps[4] / size};
        Strided b = {(real *)at[1], steps[5] / size, steps[6] / size};
        Strided c = {(real *)at[2], steps[7] / size, steps[8] / size};
        if (!product(m, n, p, a, b, c)) {
            isize one[4] = {1, m, n, p};
            ORIGINAL(matmul)(at, one, steps, data);
        }
    }
}
