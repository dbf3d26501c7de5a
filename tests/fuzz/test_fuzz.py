"""The fuzzer itself: a fraction of a run, and that it sees what it is there to see.

All of a run is `make torture`.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pikepdf
import pytest
from PIL import Image, ImageOps

from daemon.document import State
from daemon.workers import Limits, Worker
from tests import workers_under_test
from tests.fuzz import chunks, pixels, samples, segments, text, tiffs
from tests.fuzz.__main__ import fuzz
from tests.fuzz.case import case
from tests.fuzz.course import Staff
from tests.fuzz.court import Court, CourtLost
from tests.fuzz.judge import judged
from tests.fuzz.tally import GROWTH_MB, Outcome, Tally
from tests.sealing import Sealing, sealing
from tests.unit.pages_samples import drawn, encoded, jpeg, pdf, png, tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from contrib.demo.token import TokenFiles

SEED = 20261122
NUMBERS = range(-110, 60)
"""Below zero: the samples as they are."""


def test_a_fraction_of_a_run_violates_nothing(
    tmp_path: Path, seal_token: TokenFiles, trusted: Path
) -> None:
    """
    Every sample as it is, and some damaged ones, on the whole way; what is wrong is in the table.
    """
    tally = asyncio.run(fuzz(tmp_path / "box", seal_token, trusted, seed=SEED, numbers=NUMBERS))

    assert not tally.violations, "\n".join(tally.lines(1))
    assert not tally.deaths, "\n".join(tally.lines(1))
    assert tally.files == len(NUMBERS)
    assert sum(tally.sealed.values()) > 80
    assert tally.enveloped > 3
    assert sum(tally.refused.values()) > 40


def test_a_seed_and_a_number_are_the_same_file_in_every_process() -> None:
    """
    A file that violates something has to be made again elsewhere, where hashes are other ones.
    """
    code = (
        "import hashlib, json, sys; from tests.fuzz.case import case;"
        "json.dump([hashlib.sha256(case(3, n).data).hexdigest() for n in range(60)], sys.stdout)"
    )
    made = [
        json.loads(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                env=os.environ | {"PYTHONHASHSEED": seed},
                cwd=Path(__file__).parents[2],
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]

    assert made[0] == made[1]
    assert len(set(made[0])) > 55


def test_every_sample_is_what_its_name_says_and_numbers_below_zero_are_they() -> None:
    """Else a run would damage fewer kinds than it says."""
    known = samples.names()

    assert {case(1, -number).sample for number in range(1, len(known) + 1)} == set(known)
    assert {samples.family(name) for name in known} == {"pdf", "tiff", "jpeg", "png", "jp2"}
    assert case(1, -1).data == samples.sample(known[0])


def test_own_samples_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real scans lie outside of the project, and are never needed."""
    (tmp_path / "Brief 1.PDF").write_bytes(b"%PDF-own")
    (tmp_path / "README.md").write_text("not a scan")
    monkeypatch.setenv(samples.VARIABLE, str(tmp_path))
    samples._own.cache_clear()
    samples.names.cache_clear()
    try:
        assert samples.names()[-1] == "Brief 1.PDF"
        assert (samples.family("Brief 1.PDF"), samples.sample("Brief 1.PDF")) == (
            "pdf",
            b"%PDF-own",
        )
        assert "README.md" not in samples.names()
    finally:
        monkeypatch.undo()
        samples._own.cache_clear()
        samples.names.cache_clear()


def test_damaged_parts_are_put_together_as_they_were_taken_apart() -> None:
    """A splitter that loses something would damage more than it means to, and always the same."""
    for name in samples.DRAWN:
        data = samples.sample(name)
        if name.startswith("jpeg-"):
            assert segments.joined(segments.split(data)) == data, name
        if name.startswith("png-"):
            assert chunks.joined(chunks.split(data)) == data, name
        if name.startswith("tiff-"):
            found = tiffs.layout_of(bytearray(data)).directories
            assert found, name
            assert all(entry.tag >= 254 for entry in found[0].entries), name


def test_a_table_made_anew_is_right() -> None:
    """Else damage to the source would be seen in the table, before anything behind it."""
    data = bytearray(samples.sample("pdf-pages"))
    place = data.index(b"/Type /Pages")
    data[place:place] = b"/Longer (than before) "
    text.with_table(data)

    with pikepdf.open(io.BytesIO(data), attempt_recovery=False) as opened:
        assert len(opened.pages) == 5
        assert not opened.get_warnings()


SCANS: dict[str, Callable[[], bytes]] = {
    "two.pdf": lambda: pdf(2),
    "fax.tiff": lambda: tiff(drawn("1"), compression="group4"),
    "pages.tiff": lambda: tiff(drawn("L"), drawn("1")),
    "inks.tiff": lambda: tiff(drawn("CMYK")),
    "colour.png": png,
    "grey.png": lambda: png("L"),
    "clear.png": lambda: png("RGBA"),
    "colour.jpeg": jpeg,
    "grey.jpeg": lambda: jpeg("L"),
}


class Judges:
    """Scans that everything real has sealed, and those who judge them."""

    def __init__(self, root: Path, files: TokenFiles, database: Path) -> None:
        self._root, self._ca, self._database = root, files.ca, database

    async def seal(self, here: Sealing) -> None:
        assert await here.key.usable()
        for name, scan in SCANS.items():
            (self._root / name).write_bytes(scan())
            document = await here.sealer.seal(await here.claim(self._root / name), here.key)
            assert document.state is State.FROZEN, document.code
            sealed = here.sealer.folder(document) / "sealed.pdf"
            (self._root / f"{name}.sealed").write_bytes(sealed.read_bytes())

    def sealed(self, name: str) -> bytes:
        return (self._root / f"{name}.sealed").read_bytes()

    def complaints(
        self, name: str, source: bytes = b"", sealed: bytes = b"", kind: str = ""
    ) -> str:
        """Return what the judges say; of another source, or another sealed file, if given."""
        (self._root / "source").write_bytes(source or (self._root / name).read_bytes())
        (self._root / "sealed").write_bytes(sealed or self.sealed(name))
        kind = kind or name.rpartition(".")[2]
        places = self._root / "source", self._root / "sealed"
        verdict = judged(*places, kind, self._ca, self._database)
        assert not verdict.incomparable
        return "; ".join(verdict.complaints)


@pytest.fixture(scope="module")
def judges(
    tmp_path_factory: pytest.TempPathFactory, seal_token: TokenFiles, trusted: Path
) -> Judges:
    """All scans, sealed once."""
    root = tmp_path_factory.mktemp("judges")
    found = Judges(root, seal_token, trusted)

    async def main() -> None:
        (root / "box").mkdir()
        async with sealing(root / "box", seal_token) as here:
            await found.seal(here)

    asyncio.run(main())
    return found


@pytest.mark.parametrize("name", SCANS)
def test_the_judges_have_nothing_against_what_is_right(name: str, judges: Judges) -> None:
    """Each kind by its own way of comparing."""
    assert judges.complaints(name) == ""


def test_the_judges_see_one_changed_byte(judges: Judges) -> None:
    """Both validators, each for itself."""
    data = bytearray(judges.sealed("two.pdf"))
    data[data.index(b"/Type /Pages") + 7] = ord("p")
    said = judges.complaints("two.pdf", sealed=bytes(data))

    assert "pdfsig does not say: Signature is Valid." in said
    assert "pyHanko" in said


def test_the_judges_see_bytes_behind_the_seal(judges: Judges) -> None:
    """What is appended is covered by nothing."""
    said = judges.complaints("two.pdf", sealed=judges.sealed("two.pdf") + b"\n")

    assert "pdfsig does not say: Total document signed" in said
    assert "pyHanko sees ENTIRE_REVISION covered" in said


def test_a_sealed_file_that_cannot_be_read_is_a_complaint_of_each_judge(judges: Judges) -> None:
    """What they raise is their verdict, and none of them speaks for the others."""
    said = judges.complaints("grey.png", sealed=b"%PDF-1.7\nnothing\n%%EOF\n")

    assert "pdfsig: RuntimeError" in said
    assert "pyHanko raises PdfReadError" in said
    assert "of the sealed file, pdfinfo ends with 1" in said


def test_an_image_that_pillow_calls_broken_should_not_have_been_sealed(judges: Judges) -> None:
    """Its pages cannot be compared, and that is no success."""
    broken = png("L")
    broken = broken[: broken.index(b"IDAT") + 60] + broken[-12:]

    assert "Pillow cannot decode the source" in judges.complaints("grey.png", source=broken)


def test_an_envelope_is_one_page(judges: Judges) -> None:
    """Its source is not compared: it goes beside it, unchanged."""
    assert judges.complaints("two.pdf", kind="envelope") == "the envelope has 2 pages"
    assert judges.complaints("grey.png", kind="envelope") == ""


def _moved(made: pikepdf.Pdf) -> None:
    made.pages[1].obj.Contents = made.make_stream(b"q 60 0 0 84 0 1 cm /Im0 Do Q")


def _sharper(made: pikepdf.Pdf) -> None:
    made.pages[1].obj.Resources.XObject.Im0.write(
        jpeg(text="P1", quality=91), filter=pikepdf.Name.DCTDecode
    )


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (lambda: pdf(3), "other pages"),
        (lambda: pdf(2, change=lambda made: made.pages.reverse()), "other drawing"),
        (lambda: pdf(2, change=_moved), "other drawing"),
        (lambda: pdf(2, change=_sharper), "other images"),
        (
            lambda: pdf(2, change=lambda made: setattr(made.pages[1].obj, "Rotate", 180)),
            "other pages",
        ),
    ],
)
def test_the_judges_see_other_pages_of_a_pdf(
    source: Callable[[], bytes], complaint: str, judges: Judges
) -> None:
    """The source is exchanged behind the seal: more pages, another order, place, image, turn."""
    assert f"poppler sees {complaint}" in judges.complaints("two.pdf", source=source())


def _without_ink() -> Image.Image:
    return drawn("CMYK").point([*range(256)] * 2 + [0] * 256 + [*range(256)])


@pytest.mark.parametrize(
    ("name", "other", "complaint"),
    [
        ("fax.tiff", lambda: tiff(ImageOps.invert(drawn("L"))), "other pixels"),
        ("pages.tiff", lambda: tiff(drawn("L")), "Pillow counts 1 images, poppler 2"),
        ("inks.tiff", lambda: tiff(_without_ink()), "other inks"),
        ("colour.png", lambda: encoded(ImageOps.mirror(drawn()), "PNG"), "other pixels"),
        ("grey.png", lambda: encoded(drawn("L").rotate(180), "PNG"), "other pixels"),
        ("clear.png", png, "other pixels"),
        ("colour.jpeg", lambda: jpeg(text="scan"), "other pixels"),
        ("grey.jpeg", lambda: jpeg("L", quality=5), "other pixels"),
    ],
)
def test_the_judges_see_other_pixels_of_an_image(
    name: str, other: Callable[[], bytes], complaint: str, judges: Judges
) -> None:
    """The source is exchanged behind the seal: polarity, pages, inks, mirrored, turned, opaque."""
    assert complaint in judges.complaints(name, source=other())


def test_one_grey_level_of_one_pixel_is_another_picture() -> None:
    """Exact is exact where no decoder rounds."""
    frame = drawn("L")
    page = frame.convert("RGB")
    page.putpixel((3, 4), (254, 255, 255))

    assert frame.getpixel((3, 4)) == 255
    assert not list(pixels.differences(frame, frame.convert("RGB"), 1))
    assert list(pixels.differences(frame, page, 1))


def test_a_worker_that_dies_is_counted_and_its_document_refused(
    tmp_path: Path,
    seal_token: TokenFiles,
    trusted: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real deaths, of a worker that does not know the task: told twice for each file, and kept."""

    class Dying(Staff):
        def __init__(self, workers: list[Worker]) -> None:
            module = Path(workers_under_test.__file__)
            place = tmp_path / "box/state/work/out"
            limits = Limits(memory_mb=1024)
            super().__init__([Worker(module, place=place, limits=limits) for _ in workers])

    monkeypatch.setattr("tests.fuzz.__main__.Staff", Dying)
    (tmp_path / "box").mkdir()
    keep = tmp_path / "kept"
    tally = asyncio.run(
        fuzz(tmp_path / "box", seal_token, trusted, seed=1, numbers=range(-6, -3), keep=keep)
    )

    assert tally.refused == {"crashed-here": 3}
    assert len(tally.deaths) == 6
    assert not tally.violations
    assert len(list(keep.glob("*.txt"))) == 3


OUTCOME = Outcome(name="1-1", sample="s", steps=("a",), family="pdf", seconds=1, allowed=60)


def test_a_death_that_no_document_was_told_of_is_a_violation() -> None:
    """The page workers count for themselves how often one had to be replaced."""
    tally = Tally(1)
    tally.add(
        replace(OUTCOME, code="crashed-here", deaths=("prepare: SIGSEGV", "prepare: SIGSEGV"))
    )
    tally.close(replaced=2)
    assert not tally.violations
    tally.close(replaced=3)

    assert [what for what, _ in tally.violations] == [
        "1 page workers died and no document was told"
    ]


@pytest.mark.parametrize(("grown", "violations"), [(GROWTH_MB - 1, 0), (GROWTH_MB + 1, 1)])
def test_memory_that_grows_is_a_violation(grown: float, violations: int) -> None:
    """What the first tenth needs is not counted: caches fill."""
    tally = Tally(1)
    tally.add(replace(OUTCOME, sealed=True))
    tally.memory = [50.0, 50.0, 70.0, *([70.5] * 16), 70.0 + grown]
    tally.close(replaced=0)

    assert len([what for what, _ in tally.violations if "grew by" in what]) == violations


def test_a_file_that_is_lost_on_the_way_is_a_violation() -> None:
    """Neither sealed nor refused, and not even counted."""
    tally = Tally(2)
    tally.add(replace(OUTCOME, sealed=True))
    tally.close(replaced=0)

    assert tally.violations == [("1 files instead of 2", "all")]


def test_a_court_that_fails_says_so_and_the_next_question_is_answered() -> None:
    """A bug in the fuzzer must not look like a file without complaints."""

    async def ask() -> None:
        court = Court()
        try:
            with pytest.raises(CourtLost, match="FileNotFoundError"):
                await court.ask(task="make", folder="/nowhere", seed=1, number=1)
            assert (await court.ask(task="count"))["samples"] == len(samples.names())
        finally:
            await court.stop()

    asyncio.run(ask())
