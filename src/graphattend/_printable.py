"""Text of unknown origin, made safe to show."""

from __future__ import annotations

import html


def printable(text: str) -> str:
    """The text with whatever steers a terminal or turns the direction of writing as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escaped(text: str) -> str:
    """The text for a page or a picture: printable, and without markup."""
    return html.escape(printable(text))
