"""Make text of unknown origin safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with control characters of terminals and writing direction escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escaped(text: str) -> str:
    """Return the text escaped for HTML and SVG, with non-printable characters escaped, too."""
    import html  # imported lazily because the errors import this module

    return html.escape(printable(text))
