"""A safe XML parser: it rejects document types, entities and external references, and limits the depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from ...storage_checks import Refused

MAX_DEPTH = 64


class Element:
    """An XML element: its name without a namespace, attributes, children, line, and its text if it has no children."""

    __slots__ = ("attributes", "children", "line", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name, self.attributes, self.line = name, attributes, line
        self.children: list[Element] = []
        self.text = ""

    def each(self, name: str) -> list[Element]:
        """Return the children with this name."""
        return [child for child in self.children if child.name == name]

    def only(self, name: str) -> Element:
        """Return the child with this name, or an empty element. Two such children raise an error."""
        found = self.each(name)
        if len(found) > 1:
            raise Refused(f"line {found[1].line}: a second <{name}>")
        return found[0] if found else Element(name, {}, self.line)

    def inside(self, name: str) -> Iterator[Element]:
        """Yield the elements with this name at any depth."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.inside(name)

    def required(self, attribute: str) -> str:
        """Return an attribute, or raise an error if it is missing."""
        if attribute not in self.attributes:
            raise Refused(f"line {self.line}: <{self.name}> lacks {attribute!r}")
        return self.attributes[attribute]


def parse(data: bytes, root: str, each: Mapping[str, Callable[[Element], None]]) -> Element:
    """Parse a document into a tree, whose root must have the name `root`.

    An element named in `each` is passed to its function when it ends and is left out of the tree, so that a document
    with a million edges does not need a million elements in memory.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", {}, 0)
    path: list[Element] = [top]
    pieces: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(path) > MAX_DEPTH:
            raise Refused(f"line {parser.CurrentLineNumber}: nested more than {MAX_DEPTH} deep")
        if ":" in "".join(attributes):
            attributes = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        path.append(Element(name.rpartition(":")[2], attributes, parser.CurrentLineNumber))
        pieces.clear()

    def end(_: str) -> None:
        element = path.pop()
        if not element.children:
            element.text = "".join(pieces)
        pieces.clear()
        if element.name in each and len(path) > 1:
            each[element.name](element)
        else:
            path[-1].children.append(element)

    def refuse(*_: object) -> int:
        raise Refused(f"line {parser.CurrentLineNumber}: has a document type or entities, which are not supported")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, pieces.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # an unknown encoding raises LookupError
        raise Refused(f"is not valid XML ({error})") from None
    (outer,) = top.children
    if outer.name != root:
        raise Refused(f"line {outer.line}: expected <{root}>, got <{outer.name[:40]}>")
    return outer


def quoted(text: str) -> str:
    """Quote a text as the value of an attribute."""
    return quoteattr(text, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
