"""Opens a PDF that a scanner wrote, and says why it cannot be sealed.

A file that qpdf can only read by repairing it is refused: what a repair makes of
it is a guess, and other readers may guess differently (I12). References that
lead nowhere are no damage, the format says that they mean null; scanners' capture
software writes them into empty tables of contents.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, ObjectSet, Pdf

from daemon.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFSET: Final = re.compile(r"offset (\d+)")


@contextmanager
def original(path: str) -> Iterator[Pdf]:
    """Open the PDF at *path*; whatever qpdf finds wrong with it while it is open is a refusal."""
    try:
        # Read through the descriptor: a file that is mapped counts as memory of this process.
        with pikepdf.open(
            path,
            access_mode=pikepdf.AccessMode.stream,
            attempt_recovery=False,
            inherit_page_attributes=False,
        ) as pdf:
            if pdf.is_encrypted:
                raise Refused("pdf-encrypted", "the PDF is encrypted, with an empty password")
            yield pdf
            whole(pdf)
    except pikepdf.PasswordError:
        raise Refused("pdf-encrypted", "the PDF is encrypted, with a password") from None
    except pikepdf.PikepdfError as exc:
        raise Refused("pdf-damaged", _damage(str(exc))) from None


def whole(pdf: Pdf) -> None:
    """Raise Refused if qpdf has warned so far: it went on, but only by guessing."""
    warnings = pdf.get_warnings()
    if warnings:
        raise Refused("pdf-damaged", _damage(warnings[0]))


def pages_of(pdf: Pdf, max_pages: int) -> int:
    """Return how many pages the PDF has, or refuse it."""
    count = len(pdf.pages)
    if count == 0:
        raise Refused("no-pages", "the PDF has no pages")
    if count > max_pages:
        raise Refused("too-many-pages", f"the PDF has {count} pages, allowed are {max_pages}")
    tree = pdf.Root.get(Name.Pages)
    said = tree.get(Name.Count) if isinstance(tree, Dictionary) else None
    if said != count:
        # qpdf counts for itself; a reader that believes the file would show other pages.
        raise Refused("pdf-damaged", f"the PDF has {count} pages and says something else")
    return count


def unsigned(pdf: Pdf) -> None:
    """Raise Refused if the PDF bears a signature, or ever bore one that would now be broken."""
    permissions = pdf.Root.get(Name.Perms)
    if isinstance(permissions, Dictionary) and len(permissions):
        raise Refused("already-signed", "the PDF is certified, or has usage rights")
    form = pdf.Root.get(Name.AcroForm)
    if form is not None:
        if not isinstance(form, Dictionary):
            raise Refused("pdf-damaged", "the form is not a dictionary")
        fields = form.get(Name.Fields, Array())
        if not isinstance(fields, Array):
            raise Refused("pdf-damaged", "the form's fields are not an array")
        if any(True for _ in signed_fields(fields)):
            raise Refused("already-signed", "the PDF has a signature")
    for page in pdf.pages:
        notes = page.obj.get(Name.Annots)
        # A signature may hang on a page and be missing in the form.
        if isinstance(notes, Array) and any(True for _ in signed_fields(notes)):
            raise Refused("already-signed", "the PDF has a signature on a page")


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


def _damage(said: str) -> str:
    # What qpdf says may quote the document, and names the file: only the place is passed on.
    found = _OFFSET.search(said)
    return f"qpdf had to guess at byte {found[1]}" if found else "qpdf had to guess"
