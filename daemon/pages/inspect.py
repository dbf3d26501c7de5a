"""Opens a PDF that a scanner wrote, and says why it cannot be read for sure.

A file that qpdf can only read by repairing it is refused: what a repair makes of
it is a guess, and other readers may guess differently (I12). References that
lead nowhere are no damage, the format says that they mean null; scanners' capture
software writes them into empty tables of contents. Two things that qpdf remarks on are
no guess either, see `_HARMLESS`.

qpdf gets limits of its own here: on objects in each other, which it follows by
recursion, and on what it unpacks, which can be a million times what is in the file.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, ObjectSet, Pdf
from pikepdf.settings import qpdf_limit_errors, set_qpdf_limits

from daemon.errors import Refused
from daemon.pages import trees

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NESTING: Final = 500
"""What the configuration can allow at most; a file that is read back is held to nothing less."""
MOST_UNPACKED: Final = 32 << 20
"""Of one stream that qpdf itself unpacks: objects, or the table of them."""

_OFFSET: Final = re.compile(r"offset (\d+)")
_OUT_OF_MEMORY: Final = re.compile(r"bad_alloc|memory limit", re.IGNORECASE)
_UNKNOWN_ENCRYPTION: Final = re.compile(r"encryption dictionary.*unsupported", re.IGNORECASE)
_HARMLESS: Final = re.compile(
    # The table of objects is itself an object that everybody finds without it.
    r"xref entry for the xref stream itself is missing - a common error handled correctly by qpdf "
    r"and most other applications\Z|"
    # Only if more are announced than there are: the others read as null, for every reader.
    r"reported number of objects \((\d+)\) is not one plus the highest object number \((\d+)\)\Z"
)


OVERFLOW: Final = "overflow/underflow"
"""How qpdf says that a number does not fit where it has to; no error of its own kind."""


def limited(max_nesting: int = MOST_NESTING) -> None:
    """Set how deep qpdf reads objects in each other, and how much it unpacks."""
    set_qpdf_limits(
        parser_max_nesting=max_nesting,
        flate_max_memory=MOST_UNPACKED,
        run_length_max_memory=MOST_UNPACKED,
    )


@contextmanager
def unpacking(size: int) -> Iterator[None]:
    """Let qpdf unpack as much as *size* for an image whose pixels were counted."""
    most = max(MOST_UNPACKED, size + 1)
    set_qpdf_limits(flate_max_memory=most, run_length_max_memory=most)
    try:
        yield
    finally:
        set_qpdf_limits(flate_max_memory=MOST_UNPACKED, run_length_max_memory=MOST_UNPACKED)


@contextmanager
def original(path: str, max_nesting: int = MOST_NESTING) -> Iterator[Pdf]:
    """Open the PDF at *path*; whatever qpdf finds wrong with it while it is open is a refusal.

    Encrypted with an empty password, it is open to everybody, and opened.
    """
    limited(max_nesting)
    exceeded = qpdf_limit_errors()
    try:
        # Read through the descriptor: a file that is mapped counts as memory of this process.
        with pikepdf.open(
            path,
            access_mode=pikepdf.AccessMode.stream,
            attempt_recovery=False,
            inherit_page_attributes=False,
        ) as pdf:
            try:
                whole(pdf)
                yield pdf
            except pikepdf.PikepdfError as exc:
                # Why it could not go on, qpdf says beside the error, and only as long as it is open.
                raise damage(" ".join(map(str, [exc, *pdf.get_warnings()]))) from None
            _without_warnings(pdf)
    except pikepdf.PasswordError:
        raise Refused("pdf-encrypted", "the PDF is encrypted, with a password") from None
    except pikepdf.PikepdfError as exc:
        said = str(exc)
        if _UNKNOWN_ENCRYPTION.search(said):
            text = "the PDF is encrypted in a way that needs more than a password"
            raise Refused("pdf-encrypted", text) from None
        # In a trailer qpdf does not say why it stopped, only that something is missing.
        nested = qpdf_limit_errors() > exceeded and "limits error" not in said
        raise _too_nested() if nested else damage(said) from None
    except ValueError as exc:
        if OVERFLOW not in str(exc):
            raise
        raise Refused("pdf-damaged", "a number of the PDF is larger than any can be") from None


def whole(pdf: Pdf) -> None:
    """Read every object of the file; raise Refused at the first that qpdf has to guess at.

    One by one, and before anything else is done: objects that seem to run to the end of the file
    take minutes, if there are many; and an object that is found in another's place replaces that
    one, which qpdf does not survive while it writes it down.
    """
    _without_warnings(pdf)
    for number in pdf.get_xref_table():
        pdf.get_object(number)
        _without_warnings(pdf)


def _without_warnings(pdf: Pdf) -> None:
    """Raise Refused if qpdf has warned since it was last asked: it went on, but only by guessing."""
    for warning in pdf.get_warnings():
        said = str(warning)
        harmless = _HARMLESS.search(said)
        if harmless is None or (harmless[1] and int(harmless[1]) <= int(harmless[2])):
            raise damage(said)


def pages_of(pdf: Pdf, max_pages: int, max_nesting: int = MOST_NESTING) -> int:
    """Return how many pages the PDF has, or refuse it."""
    count = trees.count_pages(pdf, max_nesting, max_pages)
    if count == 0:
        raise Refused("no-pages", "the PDF has no pages")
    if count != len(pdf.pages):
        raise Refused("pdf-damaged", "the page tree has pages that are none")
    return count


def is_signed(pdf: Pdf) -> bool:
    """Return whether the PDF bears a signature, or ever bore one that would now be broken.

    Signature fields that nobody has used are none.
    """
    permissions = pdf.Root.get(Name.Perms)
    if isinstance(permissions, Dictionary) and len(permissions):
        return True
    form = pdf.Root.get(Name.AcroForm)
    if form is not None:
        if not isinstance(form, Dictionary):
            raise Refused("pdf-damaged", "the form is not a dictionary")
        fields = form.get(Name.Fields, Array())
        if not isinstance(fields, Array):
            raise Refused("pdf-damaged", "the form's fields are not an array")
        if any(True for _ in signed_fields(fields)):
            return True
    for page in pdf.pages:
        notes = page.obj.get(Name.Annots)
        if not isinstance(notes, Array):
            continue
        for note in notes:
            trees.climb(note, MOST_NESTING)
        # A signature may hang on a page and be missing in the form.
        if any(True for _ in signed_fields(notes)):
            return True
    return False


def signed_fields(fields: Array) -> Iterator[Dictionary]:
    """Yield each signature field below *fields* that has a value."""
    seen = ObjectSet()
    waiting: list[tuple[object, bool]] = [(field, False) for field in fields]
    while waiting:
        field, inherited = waiting.pop()
        if not isinstance(field, Dictionary) or not seen.add(field):
            continue
        kind = field.get(Name.FT)
        is_signature = inherited if kind is None else kind == Name.Sig
        if is_signature and field.get(Name.V) is not None:
            yield field
        kids = field.get(Name.Kids)
        if isinstance(kids, Array):
            waiting.extend((kid, is_signature) for kid in kids)
        # A field whose only trace is its widget on a page: the value is its parent's.
        waiting.append((field.get(Name.Parent), False))


def damage(said: str) -> Refused:
    """Return the refusal for something that qpdf has said."""
    if "parser-max-nesting" in said:
        return _too_nested()
    if _OUT_OF_MEMORY.search(said):
        return Refused("too-large", "the PDF unpacks to more than may be held")
    # It may quote the document, and names the file: only the place is passed on.
    found = _OFFSET.search(said)
    return Refused(
        "pdf-damaged", f"qpdf had to guess at byte {found[1]}" if found else "qpdf had to guess"
    )


def _too_nested() -> Refused:
    return Refused("pdf-too-nested", "the PDF has objects deeper in each other than is allowed")
