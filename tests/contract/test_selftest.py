"""`scanseal selftest`, as a person calls it: against a folder, and the fake of enaio."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

from daemon.__main__ import main
from daemon.selftest import LINES, pdf
from tests.contract.enaio_fake import PARENT, PASSWORD, TYPE, USER, Enaio
from tests.contract.test_http import Pki
from tests.system.box import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER = '[[target]]\nname = "dms"\nkind = "folder"\nrole = "dms"\npath = "{root}/dms"\n'
TRIED = re.compile(r"^  (\S+) +(.+?) \(\d+[.,]\d\d s\)$", re.MULTILINE)


@pytest.fixture
def enaio() -> Iterator[Enaio]:
    with Enaio() as server:
        yield server


@pytest.fixture
def tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return what the command says of a target, and its exit code."""

    def call(url: str = "", target: str = "dms", language: str = "en", **more: Any) -> Any:
        for name in ("hot", "dms", "archive", "state"):
            if not (tmp_path / name).is_symlink():
                (tmp_path / name).mkdir(exist_ok=True)
        text = CONFIG.format(
            root=tmp_path,
            module="/nonexistent.so",
            label="t",
            key="k",
            certificate=tmp_path / "none.pem",
            chain=tmp_path / "none.pem",
            pin=tmp_path / "pin",
            max_pages=1,
            more="",
        )
        text = re.sub(r'language = "\w+"', f'language = "{language}"', text)
        if url:
            secret = tmp_path / "password"
            secret.write_text(more.pop("secret", PASSWORD))
            keys = {
                "name": "dms",
                "kind": "enaio",
                "role": "dms",
                "url": url,
                "user": USER,
                "password": f"file:{secret}",
                "object_type": TYPE,
                "parent": PARENT,
                "id_field": "ScanId",
                **more,
            }
            table = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
            old = FOLDER.format(root=tmp_path)
            assert old in text
            text = text.replace(old, f"[[target]]\n{table}index_seconds = 0.3\n")
        path = tmp_path / "scanseal.toml"
        path.write_text(text)
        code = main(["selftest", "--config", str(path), "--target", target])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def ticks(said: str) -> list[tuple[str, str]]:
    """Return each step: its mark, and the first words of what was tried."""
    return [(mark, what.partition(":")[0]) for mark, what in TRIED.findall(said)]


def test_a_target_that_is_right_gets_a_tick_for_each_step(
    enaio: Enaio, tried: Callable[..., tuple[int, str]]
) -> None:
    """The first hour at a customer: what is shown can be looked up over there."""
    code, said = tried(enaio.url)
    (number,) = enaio.objects

    assert code == 0
    assert ticks(said) == [
        ("ok", "connection"),
        ("ok", "login and search"),
        ("ok", "test document put"),
        ("ok", "found again"),
        ("ok", "proof"),
        ("ok", "test document removed again"),
    ]
    assert f"test document put: {number} (" in said
    assert enaio.objects[number].trashed
    assert "SELFTEST" in enaio.objects[number].file_name
    assert PASSWORD not in said


def test_a_person_who_reads_german_is_told_in_german(
    enaio: Enaio, tried: Callable[..., tuple[int, str]]
) -> None:
    """The box has a language."""
    code, said = tried(enaio.url, language="de", parent="99")

    assert code == 1
    assert ("FALSCH", "Testdokument abgelegt") in ticks(said)
    assert "enaio-parent-missing: dms said 404: " in said
    assert "In enaio nachsehen, ob es den Ordner aus `parent` gibt" in said
    assert said.endswith("So kann an dieses Ziel nicht geliefert werden.\n")


@pytest.mark.parametrize(
    ("wrong", "step", "code"),
    [
        ({"secret": "wrong"}, "login and search", "target-login-refused"),
        ({"object_type": "Gibtsnicht"}, "login and search", "enaio-search-refused"),
        ({"id_field": "Gibtsnicht"}, "login and search", "enaio-search-refused"),
        ({"parent": "99"}, "test document put", "enaio-parent-missing"),
        ({"url": "http://127.0.0.1:1"}, "connection", "target-unreachable"),
    ],
)
def test_what_is_wrong_is_named_at_the_step_where_it_shows(
    enaio: Enaio,
    tried: Callable[..., tuple[int, str]],
    wrong: dict[str, str],
    step: str,
    code: str,
) -> None:
    """And nothing is tried that needs what was wrong."""
    exit_code, said = tried(**{"url": enaio.url, **wrong})

    assert exit_code == 1
    assert ticks(said)[-1] == ("WRONG", step)
    assert f"{code}: dms" in said
    assert "by hand" not in said
    assert enaio.objects == {}


def test_a_certificate_that_nobody_trusts_is_named(
    tmp_path: Path, tried: Callable[..., tuple[int, str]]
) -> None:
    """TLS is a step of its own; with the right CA it says which version was agreed."""
    pki = Pki(tmp_path)
    context, _ = pki.server()
    with Enaio(context=context) as enaio:
        code, said = tried(enaio.url)
        assert code == 1
        assert ticks(said) == [("WRONG", "connection")]
        assert "certificate verify failed" in said

        code, said = tried(enaio.url, ca=str(pki.ca))
        assert code == 0
        assert "connection: https://127.0.0.1:" in said
        assert " TLSv1.3 (" in said


def test_a_test_document_that_may_be_there_is_named(
    enaio: Enaio, tried: Callable[..., tuple[int, str]]
) -> None:
    """The answer was lost: somebody has to look for it over there."""
    enaio.insert = enaio.stored_and_cut
    code, said = tried(enaio.url)
    (one,) = enaio.objects.values()

    assert code == 1
    assert f"look for it there and remove it by hand: {one.properties['ScanId']}\n" in said


def test_a_test_document_that_may_not_be_removed_is_named_and_nothing_is_wrong(
    enaio: Enaio, tried: Callable[..., tuple[int, str]]
) -> None:
    """Our user needs no right to delete: it delivers, and never deletes."""
    enaio.undeletable = True
    code, said = tried(enaio.url)
    ((number, one),) = enaio.objects.items()

    assert code == 0
    assert ticks(said)[-1] == ("ok", "proof")
    assert f"by hand: {one.properties['ScanId']} ({number})\n" in said


def test_wrong_bytes_are_found_out(enaio: Enaio, tried: Callable[..., tuple[int, str]]) -> None:
    """A DMS that changes what it stores must not get a tick."""
    enaio.insert = enaio.stored_with(b"%PDF-1.7 another one")
    code, said = tried(enaio.url)

    assert code == 1
    assert "target-disagrees: " in said
    assert "remove it by hand: " in said


@pytest.mark.parametrize("target", ["dms", "archive"])
def test_a_folder_is_tried_in_the_same_way_and_nothing_stays(
    tmp_path: Path, tried: Callable[..., tuple[int, str]], target: str
) -> None:
    """Whatever the kind; the spool and the ledger are not even there."""
    code, said = tried(target=target)

    assert code == 0
    assert [mark for mark, _ in ticks(said)] == ["ok"] * 5
    assert list((tmp_path / target).iterdir()) == []
    assert list((tmp_path / "state").iterdir()) == []


def test_a_folder_that_is_not_mounted_is_named(
    tmp_path: Path, tried: Callable[..., tuple[int, str]]
) -> None:
    """And it is not made."""
    (tmp_path / "dms").symlink_to(tmp_path / "not-mounted")
    code, said = tried(target="dms")

    assert code == 1
    assert ticks(said) == [("WRONG", "login and search")]
    assert "target-unreachable: dms " in said


def test_a_target_that_is_not_configured_is_named_with_those_that_are(
    tried: Callable[..., tuple[int, str]],
) -> None:
    """A typo."""
    code, said = tried(target="enaio")

    assert code == 1
    assert said.startswith("target-unknown: enaio; there are: dms, archive\n")


def test_the_test_document_says_what_it_is(tmp_path: Path) -> None:
    """A clerk who finds it must not file it as somebody's letter."""
    (tmp_path / "test.pdf").write_bytes(pdf(LINES))
    with pikepdf.open(tmp_path / "test.pdf") as opened:
        assert not opened.check_pdf_syntax()
        (page,) = opened.pages
        assert all(line.encode() in page.Contents.read_bytes() for line in LINES)
