"""The court can say no: sealed files that were damaged in each way, and what each validator says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from asn1crypto import algos, cms

from contrib.demo import nss
from daemon.document import State
from tests.court import opinions
from tests.court.docket import Docket, disagreement
from tests.court.opinions import Opinion, PdfBox
from tests.sealing import sealing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles


@pytest.fixture(scope="module")
def pdfbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PdfBox]:
    """The one Java process of this module."""
    with PdfBox(tmp_path_factory.mktemp("classes")) as started:
        yield started


@pytest.fixture(scope="module")
def sealed(
    tmp_path_factory: pytest.TempPathFactory, seal_token: TokenFiles, drawn: dict[str, Path]
) -> tuple[bytes, bytes, tuple[int, int]]:
    """Two sealed files, the second of another scan, and where the first one's gap is."""
    root = tmp_path_factory.mktemp("sealed")

    async def main() -> tuple[bytes, bytes, tuple[int, int]]:
        async with sealing(root, seal_token) as here:
            assert await here.key.usable()
            made = []
            for name in ("brief.pdf", "akte.pdf"):
                document = await here.sealer.seal(await here.claim(drawn[name]), here.key)
                assert document.state is State.FROZEN
                made.append((here.sealer.folder(document) / "sealed.pdf", document.gap))
            (first, gap), (second, _) = made
            assert gap is not None
            return first.read_bytes(), second.read_bytes(), gap

    return asyncio.run(main())


@pytest.fixture
def ask(
    tmp_path: Path, seal_token: TokenFiles, trusted: Path, pdfbox: PdfBox
) -> Callable[[bytes], dict[str, Opinion]]:
    """Ask all three about these bytes."""

    def asked(data: bytes) -> dict[str, Opinion]:
        file = tmp_path / "file.pdf"
        file.write_bytes(data)
        return {
            "pdfsig": opinions.pdfsig(file, trusted),
            "pyhanko": opinions.pyhanko(file, seal_token.ca),
            "pdfbox": pdfbox.opinion(file, seal_token.ca),
        }

    return asked


def test_an_untouched_file_is_valid_to_all_three_and_they_see_the_same(
    sealed: tuple[bytes, bytes, tuple[int, int]], ask: Callable[[bytes], dict[str, Opinion]]
) -> None:
    """Else their no would say nothing."""
    said = ask(sealed[0])

    assert disagreement(said) == []
    assert {opinion.digest for opinion in said.values()} == {"SHA-256"}
    assert len({opinion.signer for opinion in said.values()}) == 1
    assert (said["pyhanko"].permissions, said["pdfbox"].permissions) == ("1", "1")
    assert (said["pyhanko"].stamp, said["pdfbox"].stamp) == ("", "")


def with_cms(data: bytes, gap: tuple[int, int], change: Callable[[cms.ContentInfo], None]) -> bytes:
    """Return the file with another CMS in its gap, as long as before."""
    start, end = gap
    seal = cms.ContentInfo.load(bytes.fromhex(data[start + 1 : end - 1].decode()))
    change(seal)
    made: bytes = seal.dump(force=True).hex().encode()
    return data[: start + 1] + made.ljust(end - start - 2, b"0") + data[end - 1 :]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def another_digest(seal: cms.ContentInfo) -> None:
    (signer,) = seal["content"]["signer_infos"]
    signer["digest_algorithm"] = algos.DigestAlgorithm({"algorithm": "sha512"})


def another_imprint(seal: cms.ContentInfo) -> None:
    (signer,) = seal["content"]["signer_infos"]
    for attribute in signer["signed_attrs"]:
        if attribute["type"].native == "message_digest":
            attribute["values"] = [bytes(32)]


def another_value(seal: cms.ContentInfo) -> None:
    (signer,) = seal["content"]["signer_infos"]
    signer["signature"] = flipped(signer["signature"].native, -1 % 384)


@pytest.mark.parametrize("where", ["page", "end", "signature", "digest", "imprint", "cms"])
def test_all_three_say_no_to_a_file_that_is_not_what_was_signed(
    sealed: tuple[bytes, bytes, tuple[int, int]],
    ask: Callable[[bytes], dict[str, Opinion]],
    where: str,
) -> None:
    """One bit of a page or behind the gap, another CMS, one of another digest or signature."""
    data, other, gap = sealed
    start = other.rindex(b"/Contents <3") + len(b"/Contents ")
    foreign = other[start : other.index(b">", start) + 1]
    assert len(foreign) == gap[1] - gap[0]
    spoilt = {
        "page": lambda: flipped(data, data.index(b"stream\n") + 100),
        "end": lambda: flipped(data, gap[1] + 10),
        "signature": lambda: with_cms(data, gap, another_value),
        "digest": lambda: with_cms(data, gap, another_digest),
        "imprint": lambda: with_cms(data, gap, another_imprint),
        "cms": lambda: data[: gap[0]] + foreign + data[gap[1] :],
    }[where]()
    assert len(spoilt) == len(data)
    assert spoilt != data

    said = ask(spoilt)

    for who, opinion in said.items():
        assert not opinion.intact, who
        assert not opinion.valid, who


def test_appended_bytes_are_seen_by_two_and_in_java_by_our_own_look(
    sealed: tuple[bytes, bytes, tuple[int, int]], ask: Callable[[bytes], dict[str, Opinion]]
) -> None:
    """PDFBox and Bouncy Castle verify what the ByteRange names, and do not look behind it."""
    for more in (b"\n", b"% more\n%%EOF\n"):
        said = ask(sealed[0] + more)

        for who, opinion in said.items():
            assert not opinion.whole, who
        assert said["pdfbox"].complaints == ("not the whole file",)
        assert said["pdfbox"].intact
        assert len(disagreement(said)) >= 3


def test_a_bit_behind_the_cms_is_nothing_to_pyhanko(
    sealed: tuple[bytes, bytes, tuple[int, int]], ask: Callable[[bytes], dict[str, Opinion]]
) -> None:
    """No signature covers the padding. Poppler sees it, our own question in Java, and so do we (I4)."""
    data, _, gap = sealed
    assert data[gap[1] - 4 : gap[1]] == b"000>"

    said = ask(flipped(data, gap[1] - 3))

    assert said["pyhanko"].valid
    assert (said["pdfsig"].intact, said["pdfsig"].whole) == (True, False)
    assert said["pdfbox"].complaints == ("something stands behind the CMS",)
    assert said["pdfbox"].intact


def test_a_certificate_of_another_ca_is_trusted_by_nobody(
    sealed: tuple[bytes, bytes, tuple[int, int]],
    tmp_path: Path,
    p256_token: TokenFiles,
    pdfbox: PdfBox,
) -> None:
    """The same file, intact and whole, and another root: all three want the chain."""
    file = tmp_path / "file.pdf"
    file.write_bytes(sealed[0])
    root = p256_token.ca

    said = {
        "pdfsig": opinions.pdfsig(file, nss.trust(root, tmp_path / "nss")),
        "pyhanko": opinions.pyhanko(file, root),
        "pdfbox": pdfbox.opinion(file, root),
    }

    for who, opinion in said.items():
        assert (opinion.intact, opinion.whole, opinion.trusted) == (True, True, False), who
        assert not opinion.valid, who


def test_openssl_verifies_the_bytes_and_no_others(
    sealed: tuple[bytes, bytes, tuple[int, int]], tmp_path: Path, seal_token: TokenFiles
) -> None:
    """The CMS as it stands in the file, over what stands around the gap; not over one bit more."""
    data, _, (start, end) = sealed
    seal = cms.ContentInfo.load(bytes.fromhex(data[start + 1 : end - 1].decode())).dump()
    content = tmp_path / "covered"
    content.write_bytes(data[:start] + data[end:])

    assert opinions.openssl(seal, content, seal_token.ca, tmp_path) == ""

    content.write_bytes(flipped(data[:start] + data[end:], 100))
    assert "verif" in opinions.openssl(seal, content, seal_token.ca, tmp_path)


def test_what_is_no_pdf_and_what_has_no_seal_gets_no_opinion_that_is_good(
    ask: Callable[[bytes], dict[str, Opinion]], drawn: dict[str, Path]
) -> None:
    """An error of a validator is never taken for a yes."""
    for data in (b"no PDF", drawn["brief.pdf"].read_bytes()):
        for who, opinion in ask(data).items():
            assert not opinion.valid, who


def test_opinions_that_differ_are_a_complaint() -> None:
    """Each valid by itself, and yet not about the same signature."""
    one = Opinion(intact=True, whole=True, trusted=True, digest="SHA-256", signer="A", stamp="")
    nss_said = Opinion(intact=False, whole=True, trusted=False, digest="", signer="A")
    for other, complaints in (
        (one, 0),
        (Opinion(intact=True, whole=True, trusted=True, digest="SHA-512", signer="A", stamp=""), 1),
        (Opinion(intact=True, whole=True, trusted=True, digest="SHA-256", signer="B", stamp=""), 1),
        (Opinion(intact=True, whole=True, trusted=True, digest="SHA-256", signer="A"), 0),
        (Opinion(intact=True, whole=False, trusted=True, digest="SHA-256", signer="A"), 1),
        (nss_said, 1),
    ):
        assert len(disagreement({"pdfsig": other, "pdfbox": one})) == complaints
    said = {"pdfsig": nss_said, "pdfbox": one}
    assert disagreement(said, brainpool=True) == []
    assert disagreement({"pdfsig": one, "pdfbox": nss_said}, brainpool=True)


def test_what_a_test_has_changed_is_not_what_was_sealed(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """The docket takes the committed file and no other, once, with its manifest."""
    (tmp_path / "docket").mkdir()
    docket = Docket(tmp_path / "docket")

    async def main() -> None:
        async with sealing(tmp_path, seal_token) as here:
            assert await here.key.usable()
            document = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
            folder = here.sealer.folder(document)
            good = (folder / "sealed.pdf").read_bytes()
            (folder / "sealed.pdf").unlink()
            docket.hand_over([(document, folder)], seal_token.ca)
            (folder / "sealed.pdf").write_bytes(good + b"\n")
            docket.hand_over([(document, folder)], seal_token.ca)
            assert docket.exhibits == []
            (folder / "sealed.pdf").write_bytes(good)
            docket.hand_over([(document, folder)] * 2, seal_token.ca)

    asyncio.run(main())

    (exhibit,) = docket.exhibits
    assert exhibit.manifest is not None
    assert exhibit.test.endswith("test_what_a_test_has_changed_is_not_what_was_sealed")
    assert docket.judged() == []
    data = exhibit.file.read_bytes()
    exhibit.file.unlink()
    exhibit.file.write_bytes(flipped(data, 100))
    complaints = docket.judged()
    assert len(complaints) == 4  # the three, and openssl
    assert all(one.startswith(f"{exhibit.file} of tests/court/") for one in complaints)
