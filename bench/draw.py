"""Draws what the figures are measured with, in a process of its own.

Pillow's memory would stay in the bench and be counted with what it starts: what a
process says of its largest size begins with that of its parent.

    python -m bench.draw one PATH                    the one-page file of `seal`
    python -m bench.draw letters FOLDER COUNT        small letters, each one distinct
    python -m bench.draw large PATH PAGES            a large file, 0.98 MB for each page
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SHEETS: Final = 5
"""So many different pages are drawn; the copies of each differ in a comment."""
SMALL_DPI: Final = 75
LARGE_DPI: Final = 300


def draw(*words: str | Path | int) -> None:
    """Do one of the tasks, in a process of its own."""
    command = [sys.executable, "-m", "bench.draw", *map(str, words)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])


def commented(jpeg: bytes, text: bytes) -> bytes:
    """Return the same picture with a comment: another file, not one pixel of it another."""
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def write_pdf(path: Path, jpegs: Iterable[bytes], size: tuple[int, int], dpi: int) -> None:
    """Write a PDF with one JPEG on each page, as scanners do: front to back, holding none."""
    width, height = size
    box = (round(width * 72 / dpi, 2), round(height * 72 / dpi, 2))
    content = b"q %.2f 0 0 %.2f 0 0 cm /Im0 Do Q" % box
    offsets: dict[int, int] = {}
    with path.open("xb") as file:
        file.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")

        def put(number: int, body: bytes, stream: bytes | None = None) -> None:
            offsets[number] = file.tell()
            file.write(b"%d 0 obj\n%b" % (number, body))
            if stream is not None:
                file.write(b"\nstream\n%b\nendstream" % stream)
            file.write(b"\nendobj\n")

        pages = 0
        for jpeg in jpegs:
            first = 3 + 3 * pages
            pages += 1
            put(
                first,
                b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB"
                b" /BitsPerComponent 8 /Filter /DCTDecode /Length %d >>"
                % (width, height, len(jpeg)),
                jpeg,
            )
            put(first + 1, b"<< /Length %d >>" % len(content), content)
            put(
                first + 2,
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.2f %.2f] /Contents %d 0 R"
                b" /Resources << /XObject << /Im0 %d 0 R >> >> >>" % (*box, first + 1, first),
            )
        kids = b" ".join(b"%d 0 R" % (5 + 3 * page) for page in range(pages))
        put(1, b"<< /Type /Catalog /Pages 2 0 R >>")
        put(2, b"<< /Type /Pages /Count %d /Kids [ %b ] >>" % (pages, kids))
        start = file.tell()
        file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
        file.writelines(b"%010d 00000 n \n" % offsets[number] for number in sorted(offsets))
        file.write(
            b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(offsets) + 1, start)
        )


def _sheets(dpi: int) -> tuple[list[bytes], tuple[int, int]]:
    """Return the pages as JPEGs, and how many pixels each of them has."""
    from PIL import Image  # noqa: PLC0415 (only in the process that draws)

    from contrib.demo import scans  # noqa: PLC0415

    jpegs = [scans.jpeg_page(900 + seed, dpi=dpi) for seed in range(SHEETS)]
    with Image.open(io.BytesIO(jpegs[0])) as image:
        return jpegs, image.size


def _one(path: Path) -> None:
    from contrib.demo import scans  # noqa: PLC0415 (see above)

    scans.one_page_pdf(path)


def _letters(folder: Path, count: int) -> None:
    jpegs, size = _sheets(SMALL_DPI)
    for number in range(count):
        jpeg = commented(jpegs[number % SHEETS], b"letter %d" % number)
        write_pdf(folder / f"letter-{number:04}.pdf", [jpeg], size, SMALL_DPI)


def _large(path: Path, pages: int) -> None:
    jpegs, size = _sheets(LARGE_DPI)
    distinct = (commented(jpegs[page % SHEETS], b"page %d" % page) for page in range(pages))
    write_pdf(path, distinct, size, LARGE_DPI)


def main() -> None:
    """Do what the command line says."""
    task, place, *count = sys.argv[1:]
    if task == "one":
        _one(Path(place))
    elif task == "letters":
        _letters(Path(place), int(count[0]))
    elif task == "large":
        _large(Path(place), int(count[0]))
    else:
        sys.exit(f"one, letters or large, not {task!r}")


if __name__ == "__main__":
    main()
