#!/bin/bash
# The tool root's Python, which answers questions about the configuration as Pyodide's would.
export _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__emscripten_wasm32-emscripten
export _PYTHON_HOST_PLATFORM=emscripten-wasm32
export PYTHONPATH=/w/sysconfigdata${PYTHONPATH:+:$PYTHONPATH} # NumPy 2.5 finds its generators by it
exec /usr/bin/python3.14 "$@"
