/* matmul, float64 */
#define T f64
#define V f64x2
#define original_f64 ORIGINAL(matmul, f64)
#include "ufunc_matmul.h"
