#!/usr/bin/env python3
"""emcc and em++ for meson: extension modules become side modules that export nothing but their PyInit function."""

import os
import sys
from pathlib import Path

program = "em++" if "++" in sys.argv[0] else "emcc"
DROPPED = (
    "-Wl,-soname",
    "-Wl,--start-group",
    "-Wl,--end-group",
    "-Wl,--as-needed",
    "-Wl,--allow-shlib-undefined",
    "-Wl,-rpath",
)
FLAGS = ["-fPIC", "-fwasm-exceptions", "-sSUPPORT_LONGJMP=wasm"]
arguments = [a for a in sys.argv[1:] if not a.startswith(DROPPED) and a not in ("-shared", "-fPIC")]
output = Path(arguments[arguments.index("-o") + 1]).name if "-o" in arguments else ""
if output.endswith(".so"):
    module = output.split(".")[0]
    arguments = [a for a in arguments if a not in ("-lm", "-ldl", "-lpthread")]
    arguments += [*FLAGS, "-sSIDE_MODULE=2", f"-sEXPORTED_FUNCTIONS=_PyInit_{module}", "-sWASM_BIGINT", "-O2"]
elif output or "-c" in arguments or "-E" in arguments:
    arguments += FLAGS
os.execvp(program, [program, *arguments])
