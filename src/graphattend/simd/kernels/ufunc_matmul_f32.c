/* matmul, float32 */
#define T f32
#define V f32x4
#define original_f32 ORIGINAL(matmul, f32)
#include "ufunc_matmul.h"
