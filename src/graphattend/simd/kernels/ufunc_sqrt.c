/* sqrt: correctly rounded by the machine, so bit for bit what NumPy's scalar loop gives. */
#include "ufunc_unary.h"

UNARY_LOOP(sqrt, f32)
UNARY_LOOP(sqrt, f64)
