"""What the Python blocks of a page print, put below each of them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile

BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def with_output(text: str, name: str) -> str:
    """A page whose blocks run one after the other, as a reader would run them; what they print follows each."""
    names: dict[str, object] = {"__name__": "__main__"}

    def ran(match: re.Match[str]) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(match[1], name, "exec"), names)
        printed = out.getvalue().rstrip()
        return match[0] + (f"\n```{{code-block}} text\n:class: live-printed\n\n{printed}\n```\n" if printed else "")

    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return BLOCK.sub(ran, text)
        finally:
            os.chdir(before)
