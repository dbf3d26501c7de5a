"""The same scan twice: said in its note, in the file and in the row, and nothing is removed."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

from daemon.document import Described, Document, State
from daemon.records import rows
from daemon.spool import Spool
from daemon.workers import Workers
from tests.sealing import Sealing, now, sealing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from contrib.demo.token import TokenFiles


class Counting(Workers):
    """Page workers that remember which tasks they were given."""

    tasks: list[str]

    async def call(
        self,
        task: str,
        argument: Mapping[str, Any],
        *,
        seconds: float,
        cpu_seconds: float | None = None,
    ) -> Any:
        self.tasks = [*getattr(self, "tasks", []), task]
        return await super().call(task, argument, seconds=seconds, cpu_seconds=cpu_seconds)


def run(
    root: Path, files: TokenFiles, work: Callable[[Sealing, Counting], Awaitable[None]]
) -> None:
    """Run *work* with a sealer of its own, and the workers that it uses."""
    made: list[Counting] = []

    def staff(workers: list[Any]) -> Workers:
        made.append(Counting(workers))
        return made[0]

    async def main() -> None:
        async with sealing(root, files, staff=staff) as here:
            assert await here.key.usable()
            await work(here, made[0])

    asyncio.run(main())


def said_everywhere(here: Sealing, document: Document, code: str) -> None:
    """Assert that the finding stands in the row, in the note, and in the sealed file."""
    folder = here.sealer.folder(document)
    assert document.state is State.FROZEN
    assert code in document.findings
    assert f"<finding>{code}</finding>" in (folder / "note.xml").read_text("utf-8")
    with pikepdf.open(folder / "sealed.pdf") as pdf:
        packet = pdf.Root.Metadata.read_bytes().decode()
    (said,) = [part.partition("<")[0] for part in packet.split("<scanseal:findings>")[1:]]
    assert said.split() == list(document.findings)


def sent_again(source: Path, folder: Path) -> Path:
    """Return the same pages in another file, as a scanner sends its last job again."""
    again = folder / "again.pdf"
    with pikepdf.open(source) as pdf:
        pdf.docinfo["/CreationDate"] = "D:20261122120000Z"
        pdf.save(again)
    assert again.read_bytes() != source.read_bytes()
    return again


def test_the_same_file_again_is_sealed_and_says_so(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Known before it is prepared, so it is prepared once."""

    async def work(here: Sealing, pages: Counting) -> None:
        first = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        pages.tasks.clear()
        again = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)

        said_everywhere(here, again, "duplicate-content")
        assert "duplicate-pages" not in again.findings
        assert again.duplicate_of == first.id
        assert first.duplicate_of == ""
        assert "duplicate-content" not in first.findings
        assert pages.tasks == ["prepare", "readback"]

    run(tmp_path, seal_token, work)


def test_the_same_pages_in_another_file_say_so(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Known only when they were prepared: they are prepared again, so file and note agree."""
    again = sent_again(drawn["brief.pdf"], tmp_path)

    async def work(here: Sealing, pages: Counting) -> None:
        first = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        other = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
        pages.tasks.clear()
        document = await here.sealer.seal(await here.claim(again), here.key)

        said_everywhere(here, document, "duplicate-pages")
        assert document.pages_digest == first.pages_digest is not None
        assert (document.duplicate_of, other.duplicate_of) == (first.id, "")
        assert pages.tasks == ["prepare", "prepare", "readback"]
        third = await here.sealer.seal(await here.claim(again), here.key)
        assert "duplicate-content" in third.findings
        assert third.duplicate_of == document.id
        assert not list(here.config.work_out.iterdir())

    run(tmp_path, seal_token, work)


def test_of_two_that_are_sealed_at_once_one_says_so(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Neither has a row yet in which the other could find its pages."""
    again = sent_again(drawn["akte.pdf"], tmp_path)

    async def work(here: Sealing, _: Counting) -> None:
        both = [await here.claim(source) for source in (drawn["akte.pdf"], again)]
        done = await asyncio.gather(*(here.sealer.seal(one, here.key) for one in both))

        assert sorted("duplicate-pages" in one.findings for one in done) == [False, True]
        assert {one.duplicate_of for one in done} & {both[0].id, both[1].id}
        assert here.sealer._in_work == {}

    run(tmp_path, seal_token, work)


def test_a_document_that_is_tried_again_is_no_duplicate_of_itself(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Refused and released, or given back by a token that was away."""

    async def work(here: Sealing, _: Counting) -> None:
        document = await here.claim(drawn["brief.pdf"])
        document = await here.spool(Spool.refuse, document, "too-large", "x", now())
        await here.spool(Spool.release, document.id, "me", now())
        document = await here.sealer.seal(await here.spool(Spool.document, document.id), here.key)

        assert document.findings == ()
        assert document.duplicate_of == ""

    run(tmp_path, seal_token, work)


@pytest.mark.parametrize("name", ["akte.pdf", "fax.tif"])
def test_what_came_with_the_scan_stands_in_its_note(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, name: str
) -> None:
    """Who scanned it, its batch and number, and another number of pages than was announced."""
    described = Described(
        operator="K 17",
        source="sidecar",
        batch="2026-47",
        number="MA-4711/26",
        pages=9,
        remarks=("sidecar-differs",),
    )

    async def work(here: Sealing, _: Counting) -> None:
        document = await here.claim(drawn[name])

        def describe(spool: Spool) -> None:
            import json  # noqa: PLC0415

            text = json.dumps(rows.described_json(described))
            spool._db.execute("UPDATE document SET described = ?", [text])

        await here.spool(describe)
        document = await here.spool(Spool.document, document.id)
        document = await here.sealer.seal(document, here.key)

        assert document.findings[:1] == ("sidecar-differs",)
        said_everywhere(here, document, "pages-differ-from-announced")
        xml = (here.sealer.folder(document) / "note.xml").read_text("utf-8")
        for field, value in (
            ("creator", "K 17"),
            ("creator_source", "sidecar"),
            ("batch", "2026-47"),
            ("number", "MA-4711/26"),
            ("images_expected", "9"),
        ):
            assert f"<{field}>{value}</{field}>" in xml
        lines = " ".join(await here.spool(Spool.lines, document.id))
        assert not [word for word in ("K 17", "2026-47", "4711") if word in lines]

    run(tmp_path, seal_token, work)


def test_blank_pages_are_named_in_note_row_and_ledger(
    tmp_path: Path, seal_token: TokenFiles
) -> None:
    """The pages of a finding go wherever the finding goes."""
    out = io.BytesIO()
    with pikepdf.new() as pdf:
        for content in (b"q Q", b"0 0 9 9 re f", b"q Q"):
            page = pdf.add_blank_page(page_size=(595, 842))
            page.obj.Contents = pdf.make_stream(content)
        pdf.save(out)
    file = tmp_path / "scan.pdf"
    file.write_bytes(out.getvalue())

    async def work(here: Sealing, _: Counting) -> None:
        document = await here.sealer.seal(await here.claim(file), here.key)

        said_everywhere(here, document, "page-blank")
        assert document.finding_pages == ("page-blank:1,3",)
        folder = here.sealer.folder(document)
        assert "<pages>page-blank:1,3</pages>" in (folder / "note.xml").read_text("utf-8")
        assert b"page-blank:1,3" in (folder / "manifest.json").read_bytes()
        lines = await here.spool(Spool.lines, document.id)
        assert "page-blank:1,3" in " ".join(lines)

    run(tmp_path, seal_token, work)
