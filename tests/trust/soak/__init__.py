"""Random public calls with hostile numbers, each repeatable from one seed.

`run(seed)` makes one case: a few public calls over one set of inputs. `tools/run_soak.py` runs millions of them, the tests
a small share. A case fails when a call raises anything but the error it may raise, warns, changes an input, or returns
a number that is not finite.
"""

from __future__ import annotations

from .cases import KINDS, run
from .watch import Broken, Watch

__all__ = ["KINDS", "Broken", "Watch", "run"]
