"""What scanners do to a hot folder, each habit as a function that plays it with a client.

A pause is longer than the quiet time, so whoever takes a file because it did not grow
for a while takes a half one here. Where a file is closed between two pieces the pause
is far shorter than the quiet time: the next piece comes in time on a busy machine, too.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from daemon.document import State
from tests.intake import pdf
from tests.system.share import PATIENCE, Intake, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SETTLE: Final = 1.5
GIVE_UP: Final = 6.0
PAUSE: Final = SETTLE + 1.0
SHORT: Final = 0.1
PAGE: Final = 1 << 16
MEGABYTE: Final = 1 << 20


class Upload(Protocol):
    """A file that a scanner is writing."""

    def write(self, data: bytes) -> None:
        """Send the next bytes."""

    def close(self) -> None:
        """Say that this is all."""

    def break_off(self) -> None:
        """Be gone without a word."""


class Client(Protocol):
    """A scanner."""

    def open(self, folder: str, name: str) -> Upload:
        """Begin to write a file, in the place of what has its name."""

    def append(self, folder: str, name: str, at: int, data: bytes) -> None:
        """Go on with a file that was closed or has broken off."""

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Write a whole file, in the place of what has its name."""

    def rename(self, folder: str, before: str, after: str) -> None:
        """Give a file its last name."""

    def end(self) -> None:
        """Log out."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a habit is played."""

    client: Client
    intake: Intake
    name: str
    """Of the hot folder."""

    @property
    def hot(self) -> Path:
        """The hot folder."""
        return self.intake.share.folder / self.name

    def open(self, name: str) -> Upload:
        """Begin to write a file."""
        return self.client.open(self.name, name)

    def append(self, name: str, at: int, data: bytes) -> None:
        """Go on with a file."""
        self.client.append(self.name, name, at, data)

    def put(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        self.client.put(self.name, name, data)

    def arrived(self, name: str, count: int) -> None:
        """Wait until the server has written *count* bytes of a file."""
        path = self.hot / name
        wait_for(
            lambda: path.exists() and path.stat().st_size == count, f"{count} bytes of {self.name}"
        )

    def pauses(self, name: str, count: int) -> None:
        """Let a file of *count* bytes lie there, open, for longer than the quiet time."""
        self.arrived(name, count)
        time.sleep(PAUSE)
        assert (self.hot / name).stat().st_size == count

    def taken(self, *scans: bytes) -> None:
        """Assert that these scans and no others came out of the folder, whole, and none is left."""
        found = self.intake.claimed(self.name, len(scans))
        assert sorted(map(len, found)) == sorted(map(len, scans))
        assert sorted(found) == sorted(scans)


def revision(before: bytes, size: int) -> bytes:
    """Return *before* and one more revision of it: a PDF that ends after *size* bytes exactly."""
    head = before or b"%PDF-1.7\n"
    number = head.count(b"startxref") + 1
    first = len(head)
    fixed = b"%d 0 obj <</Note ()>> endobj\n" % number
    tail = b"xref\n0 1\n0000000000 65535 f \ntrailer <</Size 9>>\nstartxref\n%010d\n%%%%EOF\n"
    padding = size - first - len(fixed) - len(tail % 0)
    body = b"%d 0 obj <</Note (%s)>> endobj\n" % (number, b"x" * padding)
    found = head + body + tail % (first + len(body))
    assert len(found) == size, (len(found), size)
    return found


def tiff(pages: int, size: int) -> list[bytes]:
    """Return a TIFF page by page: *size* bytes each, of which the first are a whole file already.

    Each directory ends with no next one; the page after it has to mend that.
    """
    found = []
    for number in range(pages):
        start = number * size
        head = b"II*\0" + (8).to_bytes(4, "little") if not number else bytes(8)
        tags = [(256, 4, 64), (257, 4, 8), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
        tags += [(273, 4, start + 200), (277, 3, 1), (278, 4, 8), (279, 4, 512)]
        entries = b"".join(
            tag.to_bytes(2, "little")
            + kind.to_bytes(2, "little")
            + (1).to_bytes(4, "little")
            + value.to_bytes(4, "little")
            for tag, kind, value in tags
        )
        directory = len(tags).to_bytes(2, "little") + entries + bytes(4)
        page = head + directory
        found.append(page.ljust(200, b"\0") + bytes([number + 1]) * (size - 200))
    return found


NEXT: Final = 8 + 2 + 9 * 12
"""Where in a page of `tiff` the place of the next directory stands."""


# -- the habits --------------------------------------------------------------------------------


def slow(scene: Scene) -> None:
    """Forty megabytes in pieces, with seconds between them; the file is open all the while."""
    scan = revision(b"", 40 * MEGABYTE)
    upload = scene.open("slow.pdf")
    for place in range(0, len(scan), 16 * MEGABYTE):
        piece = scan[place : place + 16 * MEGABYTE]
        upload.write(piece)
        if place == 0:
            scene.pauses("slow.pdf", len(piece))
        else:
            time.sleep(SHORT)
    upload.close()
    scene.taken(scan)


def part_and_rename(scene: Scene) -> None:
    """Written and closed under another name, which is the scan's own only at the very end."""
    scan = pdf(b"part")
    scene.put("scan.pdf.part", scan[:-9])
    time.sleep(PAUSE)
    scene.append("scan.pdf.part", len(scan) - 9, scan[-9:])
    scene.client.rename(scene.name, "scan.pdf.part", "scan.pdf")
    scene.taken(scan)
    (document,) = scene.intake.documents(scene.name)
    assert scene.intake.name(document) == b"scan.pdf"


def placeholder(scene: Scene) -> None:
    """The name first and nothing in it, closed, for as long as the lamp warms up."""
    scan = pdf(b"warm")
    scene.put("warm.pdf", b"")
    time.sleep(PAUSE)
    scene.put("warm.pdf", scan)
    scene.taken(scan)


def same_name(scene: Scene) -> None:
    """SCAN0001.pdf every time, as soon as the one before is gone."""
    scans = [pdf(b"%d" % number) for number in range(3)]
    for scan in scans:
        scene.put("SCAN0001.pdf", scan)
        wait_for(lambda: not (scene.hot / "SCAN0001.pdf").exists(), "it is taken")
    scene.taken(*scans)


def rewritten(scene: Scene) -> None:
    """The whole file again after each page, and closed each time."""
    scan = b""
    for number in range(1, 5):
        scan = revision(b"", number * 5000)
        scene.put("pages.pdf", scan)
        time.sleep(SHORT)
    scene.taken(scan)


def grown_piece_by_piece(scene: Scene) -> None:
    """Opened, appended to and closed for each page; each time it is a whole PDF."""
    scan = revision(b"", 5000)
    scene.put("pages.pdf", scan)
    for number in range(2, 5):
        before, scan = scan, revision(scan, number * 5000)
        time.sleep(SHORT)
        scene.append("pages.pdf", len(before), scan[len(before) :])
    scene.taken(scan)


def tiff_page_by_page(scene: Scene) -> None:
    """After the first page it opens as a whole file; more pages follow while it stays open."""
    pages = tiff(3, PAGE)
    upload = scene.open("pages.tif")
    upload.write(pages[0])
    scene.pauses("pages.tif", PAGE)
    for page in pages[1:]:
        upload.write(page)
    upload.close()
    scene.taken(b"".join(pages))


def cut_where_a_revision_ends(scene: Scene) -> None:
    """A PDF with changes has %%EOF in its middle: so far it is whole, and it is still open."""
    first = revision(b"", PAGE)
    scan = revision(first, PAGE + 3000)
    upload = scene.open("changed.pdf")
    upload.write(first)
    scene.pauses("changed.pdf", PAGE)
    upload.write(scan[PAGE:])
    upload.close()
    scene.taken(scan)


def broken_off_and_resumed(scene: Scene) -> None:
    """The connection breaks; after more than the quiet time it goes on where it stopped."""
    scan = revision(b"", 3 * PAGE)
    upload = scene.open("resumed.pdf")
    upload.write(scan[:PAGE])
    scene.arrived("resumed.pdf", PAGE)
    upload.break_off()
    time.sleep(PAUSE)
    scene.append("resumed.pdf", PAGE, scan[PAGE:])
    scene.taken(scan)


def broken_off_and_repeated(scene: Scene) -> None:
    """The connection breaks; after more than the quiet time all of it comes again."""
    scan = revision(b"", 3 * PAGE)
    upload = scene.open("repeated.pdf")
    upload.write(scan[:PAGE])
    scene.arrived("repeated.pdf", PAGE)
    upload.break_off()
    time.sleep(PAUSE)
    scene.put("repeated.pdf", scan)
    scene.taken(scan)


def ended_in_the_middle(scene: Scene) -> None:
    """A scanner that gives up closes what it has, as one that is ready does; then it tries again."""
    scan = revision(b"", 3 * PAGE)
    upload = scene.open("ended.pdf")
    upload.write(scan[:PAGE])
    upload.close()
    scene.arrived("ended.pdf", PAGE)
    time.sleep(PAUSE)
    scene.put("ended.pdf", scan)
    scene.taken(scan)


def cut_anywhere(scene: Scene) -> None:
    """PDFs that nobody finishes: each is refused with a reason, with the bytes that there were.

    Where the cut is the end of a revision it is a whole PDF, and nothing can tell.
    """
    whole = revision(revision(b"", 2000), 4000)
    # 1999 lacks the newline after %%EOF and nothing else.
    expected = {
        place: "" if place in {1999, 2000} else "file-incomplete"
        for place in (5, 700, 1990, 1999, 2000, 2001, 2100, 3000, 3990, 3998)
    }
    for place in expected:
        scene.put(f"{place}.pdf", whole[:place])

    def there() -> Counter[State]:
        return Counter(one.state for one in scene.intake.documents(scene.name))

    whole_so_far = {State.REFUSED: len(expected) - 2, State.CLAIMED: 2}
    wait_for(lambda: there() == whole_so_far, "the others are given up", there)
    documents = scene.intake.documents(scene.name)
    found = {scene.intake.name(one): (scene.intake.original(one), one.code) for one in documents}
    assert found == {b"%d.pdf" % place: (whole[:place], code) for place, code in expected.items()}


HABITS: Final[Mapping[str, Callable[[Scene], None]]] = {
    habit.__name__: habit
    for habit in (
        slow,
        part_and_rename,
        placeholder,
        same_name,
        rewritten,
        grown_piece_by_piece,
        tiff_page_by_page,
        cut_where_a_revision_ends,
        broken_off_and_resumed,
        broken_off_and_repeated,
        ended_in_the_middle,
        cut_anywhere,
    )
}
assert PATIENCE > 2 * GIVE_UP
