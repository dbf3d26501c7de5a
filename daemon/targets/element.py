"""XML as a target answers it: small, flat, and not to be trusted.

Read by expat alone. A document type declaration is refused, and with it every entity that
somebody could declare; depth and number of elements are bounded, and whoever calls bounds the
bytes. Attributes, comments and processing instructions are left out, and so are namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST: Final = 16
MOST: Final = 50_000


@dataclass(slots=True)
class Element:
    """One element: its name, its own text, and what is in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Yield the children of that name, in order."""
        return (child for child in self.children if child.name == name)

    def said(self, name: str) -> str:
        """Return the text of the first child of that name, or ""."""
        return next((child.text.strip() for child in self.all(name)), "")


def parsed(data: bytes) -> Element:
    """Return the root of *data*; ValueError if that is no XML, or more of it than anybody needs."""
    top = Element("")
    opened, count = [top], 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(opened) > DEEPEST or count > MOST:
            raise ValueError("more elements than expected")
        one = Element(name.rpartition(" ")[2])
        opened[-1].children.append(one)
        opened.append(one)

    def end(_: str) -> None:
        opened.pop()

    def text(letters: str) -> None:
        opened[-1].text += letters

    def declared(*_: object) -> None:
        raise ValueError("a document type declaration")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise ValueError(f"no XML: {exc}") from None
    return top.children[0]
