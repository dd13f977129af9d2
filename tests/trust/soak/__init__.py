"""Random public calls with hostile numbers, each reproducible from one seed.

`run(seed)` runs one case: a few public calls with one set of inputs. `tools/run_soak.py` runs millions of cases, the tests
a small share. A case fails if a call raises an error that it may not raise, warns, changes an input, or returns a
non-finite number.
"""

from __future__ import annotations

from .cases import KINDS, run, run_range
from .watch import Broken, Watch

__all__ = ["KINDS", "Broken", "Watch", "run", "run_range"]
