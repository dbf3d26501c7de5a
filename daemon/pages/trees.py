"""The trees of a PDF: of pages, of form fields, of bookmarks and of names.

Each has to be a tree: no node in two places, none below itself, none too deep. A
file in which a circle leads back is not hard to read for us, but other readers hang
in it or show something else.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Object
from pikepdf import ObjectType as Kind

from daemon.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pikepdf import Pdf

DEEPEST_PAGE_TREE: Final = 99
"""qpdf reads none that is deeper, whatever is allowed."""
BOXES: Final = ("/MediaBox", "/CropBox")
INHERITED: Final = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")


def each_is_one(pdf: Pdf, most: int) -> None:
    """Raise Refused unless the trees beside that of the pages are trees, at most *most* deep."""
    catalog = pdf.Root
    outlines = catalog.get("/Outlines")
    if outlines is not None:
        _walk([outlines], _bookmarks, most, "bookmarks")
    names = catalog.get("/Names")
    roots = names.values() if isinstance(names, Dictionary) else ()
    _walk([catalog.get("/Dests"), *roots], _kids, most, "names")
    form = catalog.get("/AcroForm")
    fields = form.get("/Fields") if isinstance(form, Dictionary) else None
    if isinstance(fields, Array) and len(fields):
        _walk(fields, _fields, most, "form fields")
        for field in fields:
            climb(field, most)


def climb(field: Any, most: int) -> None:
    """Raise Refused where the way up from *field* does not end: its value may be its parent's."""
    for _ in range(most + 2):
        if not isinstance(field, Dictionary):
            return
        field = field.get("/Parent")
    raise Refused("pdf-damaged", "a form field has no end of parents")


def count_pages(pdf: Pdf, most_deep: int, most_pages: int) -> int:
    """Return how many pages hang in the page tree.

    Raise Refused unless each node knows how many they are, each is told its parent,
    and the tree is one. More than *most_pages* are not counted to the end.
    """
    root = pdf.Root.get("/Pages")
    if not isinstance(root, Dictionary):
        raise Refused("pdf-damaged", "the PDF has no page tree")
    deepest = min(most_deep, DEEPEST_PAGE_TREE)
    return _Pages(deepest, most_pages).below(root, depth=0, inherits=False)


class _Pages:
    """One walk through a page tree."""

    def __init__(self, deepest: int, most: int) -> None:
        self._deepest = deepest
        self._most = most
        self._seen: set[tuple[int, int]] = set()
        self._pages = 0

    def below(self, node: Object, *, depth: int, inherits: bool) -> int:
        """Count the pages below *node*; recursion ends at the depth that is allowed."""
        if depth > self._deepest:
            raise Refused("pdf-too-nested", f"the page tree is deeper than {self._deepest}")
        kids = node.get("/Kids")
        if not isinstance(kids, Array):
            raise Refused("pdf-damaged", "a node of the page tree has no children")
        _has_one_shape(node)
        inherits = inherits or any(key in node for key in INHERITED)
        before = self._pages
        for kid in kids:
            self._belongs(kid, node, inherits=inherits)
            if "/Kids" in kid:
                self.below(kid, depth=depth + 1, inherits=inherits)
            else:
                _has_one_shape(kid)
                self._pages += 1
                if self._pages > self._most:
                    text = f"the PDF has more than {self._most} pages"
                    raise Refused("too-many-pages", text)
        counted = self._pages - before
        said: Any = node.get("/Count")
        if type(said) is not int or said != counted:
            # A reader that believes the file would show other pages.
            raise Refused("pdf-damaged", f"the PDF has {counted} pages and says something else")
        return counted

    def _belongs(self, kid: Any, node: Object, *, inherits: bool) -> None:
        """Raise Refused unless *kid* is a node of its own, and knows that it hangs on *node*."""
        # isinstance asks the same as _type_code, but takes longer.
        if not isinstance(kid, Object) or kid._type_code != Kind.dictionary:  # noqa: SLF001
            raise Refused("pdf-damaged", "the page tree has a node that is none")
        if not kid.is_indirect or kid.objgen in self._seen:
            raise Refused("pdf-damaged", "a page is in the tree twice, or not by reference")
        self._seen.add(kid.objgen)
        parent = kid.get("/Parent")
        # What a page lacks, some readers look for in its parent, and others in the node above.
        if parent is None and inherits:
            raise Refused("pdf-damaged", "a page that inherits does not name its parent")
        if parent is not None and not _is(parent, node.objgen):
            raise Refused("pdf-damaged", "a page names another parent than its own")


def _has_one_shape(page: Any) -> None:
    """Raise Refused if readers need not agree how large a page is, or which side is up.

    ISO 32000-1, table 30: a multiple of 90 degrees, a unit above zero, boxes with an area; as a
    page has them, or a node that pages inherit them from.
    """
    turned: Any = page.get("/Rotate", 0)
    unit: Any = page.get("/UserUnit", 1)
    boxes = [page[key] for key in BOXES if key in page]
    if (
        type(turned) is not int
        or turned % 90
        or not isinstance(unit, int | Decimal)
        or unit <= 0
        or not all(map(_is_box, boxes))
    ):
        raise Refused("pdf-damaged", "the size or the rotation of a page means nothing")


def _is_box(box: Any) -> bool:
    if not isinstance(box, Array) or len(box) != 4:
        return False
    corners: list[Any] = list(box)
    if not all(isinstance(number, int | Decimal) for number in corners):
        return False
    x, y, right, top = corners
    return bool(x != right and y != top)


def _walk(
    roots: Iterable[Any], below: Callable[[Object], Iterator[Any]], most: int, what: str
) -> None:
    """Raise Refused where a node below *roots* is met twice, or lies too deep."""
    seen: set[tuple[int, int]] = set()
    waiting = [(iter(list(roots)), 0)]
    while waiting:
        nodes, depth = waiting[-1]
        # Taken one by one: a circle among siblings has no last one.
        node = next((node for node in nodes if isinstance(node, Dictionary)), None)
        if node is None:
            waiting.pop()
            continue
        if node.is_indirect:
            if node.objgen in seen:
                raise Refused("pdf-damaged", f"the tree of {what} has a node twice")
            seen.add(node.objgen)
        if depth > most:
            raise Refused("pdf-too-nested", f"the tree of {what} is deeper than {most}")
        waiting.append((below(node), depth + 1))


def _kids(node: Object) -> Iterator[Any]:
    kids = node.get("/Kids")
    if isinstance(kids, Array):
        yield from kids


def _fields(node: Object) -> Iterator[Any]:
    for kid in _kids(node):
        parent = kid.get("/Parent") if isinstance(kid, Dictionary) else None
        if parent is not None and not _is(parent, node.objgen):
            raise Refused("pdf-damaged", "a form field names another parent than its own")
        yield kid


def _is(node: Any, number: tuple[int, int]) -> bool:
    return isinstance(node, Object) and node.is_indirect and node.objgen == number


def _bookmarks(node: Object) -> Iterator[Any]:
    bookmark = node.get("/First")
    while isinstance(bookmark, Dictionary):
        yield bookmark
        bookmark = bookmark.get("/Next")
