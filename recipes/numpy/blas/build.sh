#!/bin/sh
# Compiles the CBLAS into a static library that pkg-config knows as graphattend-blas.
#     build.sh KERNELS PREFIX
# KERNELS is graphattend's src/graphattend/simd/kernels; PREFIX/lib gets the library.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kernels=$1
prefix=$2
objects=$prefix/lib/graphattend-blas

# As the kernels are compiled for Pyodide: what LLVM would vectorise or unroll has been written so by hand.
by_hand="-fno-vectorize -fno-slp-vectorize -fno-builtin -mllvm -unroll-runtime=0"
side_module="-fPIC -fwasm-exceptions -sSUPPORT_LONGJMP=wasm"

rm -rf "$objects"
mkdir -p "$objects" "$prefix/lib/pkgconfig"
for source in "$here/cblas.c" "$kernels/gemm.c" "$kernels/rows.c"; do
  name=$(basename "$source" .c)
  emcc -c -O3 -msimd128 $side_module $by_hand -I"$kernels" "$source" -o "$objects/${name}_f32.o"
  emcc -c -O3 -msimd128 $side_module $by_hand -I"$kernels" -DF64 "$source" -o "$objects/${name}_f64.o"
done
rm -f "$prefix/lib/libgraphattendblas.a"
emar rcsD "$prefix/lib/libgraphattendblas.a" "$objects"/*.o
rm -rf "$objects"

cat > "$prefix/lib/pkgconfig/graphattend-blas.pc" <<END
Name: graphattend-blas
Description: CBLAS subset for WebAssembly SIMD128
Version: 0.1
Libs: -L$prefix/lib -lgraphattendblas
Cflags:
END
