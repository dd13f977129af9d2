/* Products of matrices. */
#ifndef GA_GEMM_H
#define GA_GEMM_H

#include "vec.h"

/* An operand by its strides: element (i, j) at data[i * row + j * column]; one of the strides is 1.
 */
typedef struct {
    const real *data;
    isize row, column;
} Matrix;

enum { FEW_ROWS = 3 }; /* up to this number, contiguous rows of A are multiplied one by one */

/* Elements to work in. */
#define multiply_workspace K(multiply_workspace)
isize multiply_workspace(isize n, isize k);

/* C (m x n) = or += A (m x k) B (k x n); rows of C lie ldc elements apart. */
#define multiply_matrices K(multiply_matrices)
void multiply_matrices(isize m, isize n, isize k, Matrix a, Matrix b, real *c, isize ldc, int add,
                       real *workspace);

/* The same for rows that are ld* elements apart. B is (k x n), or (n x k) with B_TRANSPOSED;
 * ADD_TO_C adds to C. */
typedef enum { PLAIN, B_TRANSPOSED, ADD_TO_C } Form;
#define multiply K(multiply)
void multiply(isize m, isize n, isize k, const real *a, isize lda, const real *b, isize ldb,
              real *c, isize ldc, Form form, real *workspace);

#endif
