"""A sealed PDF against its original: everything that hangs on catalog and trailer, object by object.

Both files are read afresh. The two graphs are walked side by side; what they
hold has to be equal, except for exactly what sealing adds:

    catalog     /AcroForm: one field more, /SigFlags;  /Perms;  /Metadata;  /DSS at B-LT
                /OutputIntents: sRGB as `intent` has it;  /AF, /Names: one file, see `attached`
    first page  /Annots: that field, last
    trailer     what a table needs

An original that is encrypted with an empty password is compared as it reads. A stream counts by its raw bytes, so no decoder's opinion comes in. References
are followed once for each pair of objects, so sharing has to be the same, too:
an original object always finds the same one in the sealed file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Name, Object, PikepdfError
from pikepdf import ObjectType as Kind

from daemon.errors import PermanentError
from daemon.pages import attached, intent
from daemon.pages.entries import entries_of

if TYPE_CHECKING:
    from pikepdf import Pdf

ADDED_TO_CATALOG: Final = frozenset({
    "/AcroForm", "/Perms", "/Metadata",
    # Extensions name the version that a file needs, and qpdf drops those that a newer one covers.
    "/Extensions",
})  # fmt: skip
ADDED_TO_FORM: Final = frozenset({"/Fields", "/SigFlags"})
ADDED_TO_PAGE: Final = frozenset({"/Annots"})
OF_A_TABLE: Final = frozenset({
    "/Size", "/ID", "/Prev", "/XRefStm", "/Encrypt",
    # Where the table is a stream, its dictionary is the trailer.
    "/Type", "/W", "/Index", "/Length", "/Filter", "/DecodeParms",
})  # fmt: skip
LENGTH: Final = frozenset({"/Length"})
CODING: Final = frozenset({"/Filter", "/DecodeParms"})
NOTHING: Final[frozenset[str]] = frozenset()

_CONTAINERS: Final = frozenset({Kind.array, Kind.dictionary, Kind.stream})


class Differ(PermanentError):
    """The sealed file does not hold what the original holds."""

    def __init__(self, message: str) -> None:
        super().__init__("pages-differ", message)


def same(original: Pdf, sealed: Pdf, field: Dictionary, *, stored: bool = False) -> int:
    """Return how many pages both files have; raise Differ unless all but *field* is the same.

    *stored* says that the sealed file got evidence, in the place of any that the original had.
    """
    pages, counterparts = list(original.pages), list(sealed.pages)
    if len(pages) != len(counterparts) or not pages:
        raise Differ(f"the original has {len(pages)} pages, the sealed file {len(counterparts)}")
    walk = _Walk()
    # What sealing adds to, and the pages, whose order counts, are known to each other before
    # anything refers to them: a link leads to its page, and some files to their catalog.
    form, sealed_form = original.Root.get(Name.AcroForm, Dictionary()), sealed.Root.AcroForm
    for one, other in ((original.Root, sealed.Root), (form, sealed_form)):
        if one.is_indirect:
            walk.meets(one, other)
    for page, counterpart in zip(pages, counterparts, strict=True):
        walk.meets(page.obj, counterpart.obj)
    first, sealed_first = pages[0].obj, counterparts[0].obj
    walk.dictionaries(first, sealed_first, ADDED_TO_PAGE)
    walk.longer(first.get(Name.Annots), sealed_first.get(Name.Annots), field, "annotations")
    for page, counterpart in zip(pages[1:], counterparts[1:], strict=True):
        walk.dictionaries(page.obj, counterpart.obj, NOTHING)
    added = ADDED_TO_CATALOG | _claimed(original, sealed, walk)
    walk.dictionaries(original.Root, sealed.Root, added | {"/DSS"} if stored else added)
    walk.dictionaries(form, sealed_form, ADDED_TO_FORM)
    walk.longer(form.get(Name.Fields), sealed_form.get(Name.Fields), field, "fields")
    walk.dictionaries(original.trailer, sealed.trailer, OF_A_TABLE | {"/Root"})
    walk.to_the_end()
    return len(pages)


def _claimed(original: Pdf, sealed: Pdf, walk: _Walk) -> frozenset[str]:
    """Return which entries of the catalog are there for PDF/A, and nothing but what they have to be.

    What the original has itself is no addition, and compared as everything else.
    """
    one, other = original.Root, sealed.Root
    added: set[str] = set()
    if Name.OutputIntents in other and Name.OutputIntents not in one:
        if not intent.is_ours(other.OutputIntents):
            raise Differ("the sealed file has an output intent that is not ours")
        added.add("/OutputIntents")
    if Name.AF in other and Name.AF not in one:
        if attached.found_in(other) is None or not attached.can_be_added(original):
            raise Differ("the sealed file has a file that is not ours")
        names = one.get(Name.Names, Dictionary())
        walk.dictionaries(names, other.Names, frozenset({"/EmbeddedFiles"}))
        added |= {"/AF", "/Names"}
    return frozenset(added)


class _Walk:
    """Two graphs side by side; what is still to be compared waits in a list, not on the stack."""

    def __init__(self) -> None:
        self._met: dict[tuple[int, int], tuple[int, int]] = {}
        self._waiting: list[tuple[Any, Any]] = []

    def meets(self, one: Object, other: Object) -> bool:
        """Return whether *one* is met for the first time; raise Differ if it met another before."""
        new = one.objgen not in self._met
        if self._met.setdefault(one.objgen, other.objgen) != other.objgen:
            raise Differ("a reference of the sealed file leads elsewhere")
        return new

    def pair(self, one: Any, other: Any) -> None:
        """Compare two values, now or later."""
        self._waiting.append((one, other))

    def to_the_end(self) -> None:
        """Compare all that waits, and all that it leads to."""
        waiting = self._waiting
        while waiting:
            one, other = waiting.pop()
            self._compare(one, other)

    def dictionaries(self, one: Any, other: Any, but: frozenset[str]) -> None:
        """Compare two dictionaries, except for some keys."""
        # A key whose value is null is a key that is not there (ISO 32000-1, 7.3.7).
        self.entries(entries_of(one), entries_of(other), but)

    def entries(self, one: dict[str, Any], other: dict[str, Any], but: frozenset[str]) -> None:
        """Compare what two dictionaries hold, except for some keys."""
        mine = {key: value for key, value in one.items() if key not in but}
        for key, value in other.items():
            if key in but:
                continue
            if key not in mine:
                raise Differ("a dictionary of the sealed file has an entry more")
            self.pair(mine.pop(key), value)
        if mine:
            raise Differ("a dictionary of the sealed file lacks an entry")

    def longer(self, one: Any, other: Any, by: Dictionary, what: str) -> None:
        """Compare two arrays, the second of which holds *by* at its end besides."""
        mine = [] if one is None else list(one)
        if not isinstance(other, Array) or len(other) != len(mine) + 1:
            raise Differ(f"the sealed file has other {what}")
        last = other[-1]
        if not isinstance(last, Dictionary) or last.objgen != by.objgen:
            raise Differ(f"the last of the {what} is not the seal's")
        for value, counterpart in zip(mine, other, strict=False):
            self.pair(value, counterpart)

    def _compare(self, one: Any, other: Any) -> None:
        # isinstance asks the same as _type_code, but takes longer.
        kind = one._type_code if isinstance(one, Object) else None  # noqa: SLF001
        if kind not in _CONTAINERS:
            if type(one) is not type(other) or _source(one) != _source(other):
                raise Differ("a value of the sealed file is another")
            return
        if not isinstance(other, Object) or kind != other._type_code:  # noqa: SLF001
            raise Differ("an object of the sealed file is of another kind")
        if one.is_indirect and not self.meets(one, other):
            return
        if kind == Kind.array:
            if len(one) != len(other):
                raise Differ("an array of the sealed file has another length")
            self._waiting.extend(zip(one, other, strict=True))
        elif kind == Kind.dictionary:
            self.dictionaries(one, other, NOTHING)
        else:
            # Of a stream without a byte qpdf leaves out the filters: there is nothing to decode.
            but = LENGTH if one.stream_dict.get_int(Name.Length) else LENGTH | CODING
            self.entries(_decrypted(one.stream_dict), entries_of(other.stream_dict), but)
            _streams(one, other)


def _decrypted(stream: Object) -> dict[str, Any]:
    """Return the entries of a stream without the filter that says how it was encrypted."""
    found = entries_of(stream)
    filters, parameters = found.get("/Filter"), found.get("/DecodeParms")
    if filters == Name.Crypt:
        del found["/Filter"]
        found.pop("/DecodeParms", None)
    if not isinstance(filters, Array) or Name.Crypt not in list(filters):
        return found
    kept = [place for place, name in enumerate(filters) if name != Name.Crypt]
    found["/Filter"] = Array([filters[place] for place in kept])
    if isinstance(parameters, Array):
        found["/DecodeParms"] = Array(
            [entry for place, entry in enumerate(parameters) if place in kept]
        )
    return found


def _streams(one: Object, other: Object) -> None:
    # One after the other, never all: a document can be larger than this process may be.
    mine = one.read_raw_bytes()
    try:
        equal = mine == other.read_raw_bytes()
    except PikepdfError:
        equal = False
    if not equal:
        raise Differ("a stream of the sealed file has other bytes")


def _source(value: Any) -> Any:
    """Return what a name or a string reads like in a file; numbers are themselves."""
    return value.unparse(resolved=True) if isinstance(value, Object) else value
