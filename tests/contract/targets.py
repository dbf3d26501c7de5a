"""What every target promises, asked of each adapter: a base class for their tests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from daemon.document import Digest
from daemon.errors import PermanentError, TargetDisagrees
from daemon.targets import OWN_COPY_DAMAGED, Sending, asked, send, split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.targets import Target

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONGER_THAN_A_PIECE = (1 << 20) + 12_345


def facts(path: Path) -> tuple[Digest, int]:
    """Return what the spool knows about *path*."""
    data = path.read_bytes()
    return Digest.of(data), len(data)


def sending(key: str, file: Path) -> Sending:
    """Return *file* on its way."""
    return Sending(key, file, *facts(file))


def put(target: Target, key: str, file: Path) -> None:
    """Put *file* and forget the receipt."""
    asyncio.run(target.put(sending(key, file)))


async def carry(target: Target, parts: Sequence[Sending], *, in_doubt: bool) -> Sequence[Receipt]:
    """Have *parts* at the target, as the engine has; in doubt it is asked first."""
    return await send(target, parts, await asked(target, parts) if in_doubt else None)


class TargetContract:
    """The promises of `Target`. An adapter's class gives the fixtures `target` and `held`."""

    @pytest.fixture
    def target(self) -> Target:
        raise NotImplementedError

    def held(self, target: Target, key: str) -> bytes | None:
        """Return what the target really holds under *key*, not asking our adapter."""
        raise NotImplementedError

    def remove(self, target: Target, key: str) -> None:
        """Remove what the target holds under *key*, behind our adapter's back."""
        raise NotImplementedError

    def replace(self, target: Target, key: str, data: bytes) -> None:
        """Change what the target holds under *key*, behind our adapter's back."""
        raise NotImplementedError

    def test_what_was_put_is_held_byte_for_byte(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """A receipt is worth nothing if the bytes are not there."""
        receipt = asyncio.run(target.put(sending(key, sealed)))

        assert self.held(target, key) == sealed.read_bytes()
        assert (receipt.digest, receipt.size) == facts(sealed)
        assert (receipt.target, receipt.key, receipt.grade) == (target.name, key, "bytes")
        assert receipt.reference
        assert all(isinstance(text, str) for text in receipt.detail.values())

    def test_what_was_put_is_found(self, target: Target, key: str, sealed: Path) -> None:
        """Whoever is in doubt asks, and has to get the receipt that was lost."""
        receipt = asyncio.run(target.put(sending(key, sealed)))
        found = asyncio.run(target.find(sending(key, sealed)))

        assert found is not None
        assert replace(found, proved_at=receipt.proved_at) == receipt

    def test_what_was_put_is_proven_again(self, target: Target, key: str, sealed: Path) -> None:
        """Before the last copy here goes, the target is asked once more for the very same object."""
        receipt = asyncio.run(target.put(sending(key, sealed)))
        proven = asyncio.run(target.prove(receipt, sending(key, sealed)))

        assert proven is not None
        assert replace(proven, proved_at=receipt.proved_at) == receipt

    def test_what_was_removed_over_there_is_gone(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """A clerk may have deleted it: that is no error, but nobody may call it proven."""
        receipt = asyncio.run(target.put(sending(key, sealed)))
        self.remove(target, key)

        assert asyncio.run(target.prove(receipt, sending(key, sealed))) is None

    def test_what_was_never_put_is_not_found(self, target: Target, key: str, sealed: Path) -> None:
        """None, and nothing else, means that it may be sent."""
        assert asyncio.run(target.find(sending(key, sealed))) is None

    def test_another_part_of_the_same_document_is_not_found(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """Parts are asked for one by one."""
        put(target, key, sealed)
        other = f"{split(key)[0]}/manifest.json"

        assert asyncio.run(target.find(sending(other, sealed))) is None

    def test_putting_twice_gives_the_same_receipt(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """A put may be repeated: there is one object, and it proves the same."""
        first = asyncio.run(target.put(sending(key, sealed)))
        second = asyncio.run(target.put(sending(key, sealed)))

        assert replace(second, proved_at=first.proved_at) == first
        assert self.held(target, key) == sealed.read_bytes()

    def test_other_bytes_under_our_key_are_never_overwritten(
        self, target: Target, key: str, sealed: Path, tmp_path: Path
    ) -> None:
        """What is there stays there: only a person may decide which of the two is right."""
        put(target, key, sealed)
        other = tmp_path / "own" / "other.pdf"
        other.write_bytes(b"%PDF-1.7 another one")

        with pytest.raises(TargetDisagrees):
            put(target, key, other)
        with pytest.raises(TargetDisagrees):
            asyncio.run(target.find(sending(key, other)))
        assert self.held(target, key) == sealed.read_bytes()

    @pytest.mark.parametrize("in_doubt", [False, True])
    def test_all_parts_of_a_document_are_held_and_proven(
        self, target: Target, key: str, sealed: Path, in_doubt: bool
    ) -> None:
        """One receipt for each, in their order; what is there already is as good."""
        parts = [
            Sending(f"{split(key)[0]}/{file}", sealed, *facts(sealed))
            for file in ("sealed.pdf", "note.xml", "manifest.json")
        ]
        put(target, parts[1].key, sealed)
        receipts = asyncio.run(carry(target, parts, in_doubt=in_doubt))

        assert [receipt.key for receipt in receipts] == [part.key for part in parts]
        assert {self.held(target, part.key) for part in parts} == {sealed.read_bytes()}

    def test_after_one_that_is_damaged_none_is_put(
        self, target: Target, key: str, sealed: Path, tmp_path: Path
    ) -> None:
        """The manifest comes last: it is not there unless all that it names is."""
        files = ("sealed.pdf", "note.xml", "manifest.json")
        parts = [Sending(f"{split(key)[0]}/{file}", sealed, *facts(sealed)) for file in files]
        damaged = tmp_path / "own" / "damaged.xml"
        damaged.write_bytes(b"other bytes")
        parts[1] = replace(parts[1], file=damaged)

        with pytest.raises(PermanentError) as caught:
            asyncio.run(carry(target, parts, in_doubt=False))

        assert caught.value.code == OWN_COPY_DAMAGED
        assert [self.held(target, part.key) is None for part in parts] == [False, True, True]

    def test_bytes_that_changed_at_the_target_are_found_out(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """A receipt comes from what is stored now, not from what was sent then."""
        receipt = asyncio.run(target.put(sending(key, sealed)))
        data = bytearray(sealed.read_bytes())
        data[LONGER_THAN_A_PIECE // 2] ^= 1  # of the same length: only the digest can tell
        self.replace(target, key, bytes(data))

        with pytest.raises(TargetDisagrees):
            asyncio.run(target.find(sending(key, sealed)))
        with pytest.raises(TargetDisagrees):
            asyncio.run(target.prove(receipt, sending(key, sealed)))
        with pytest.raises(TargetDisagrees):
            put(target, key, sealed)

    def test_damage_on_our_side_is_not_delivered(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """What is not what was sealed must not reach anybody."""
        before = facts(sealed)
        data = sealed.read_bytes()
        sealed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

        with pytest.raises(PermanentError) as caught:
            asyncio.run(target.put(Sending(key, sealed, *before)))
        assert caught.value.code == OWN_COPY_DAMAGED
        assert self.held(target, key) is None
        assert asyncio.run(target.find(Sending(key, sealed, *before))) is None

    def test_a_file_of_ours_that_is_gone_is_damage_on_our_side(
        self, target: Target, key: str, sealed: Path
    ) -> None:
        """It is no trouble of the target, so it must not be tried for ever."""
        before = facts(sealed)
        sealed.unlink()

        with pytest.raises(PermanentError) as caught:
            asyncio.run(target.put(Sending(key, sealed, *before)))
        assert caught.value.code == OWN_COPY_DAMAGED
        assert self.held(target, key) is None

    @pytest.mark.parametrize(
        "wrong",
        ["sealed.pdf", "../x/sealed.pdf", "{id}/../x", "{id}/a/b", "{id}/.x", "{id}/", "/x"],
    )
    def test_a_key_that_is_none_is_a_bug_of_ours(
        self, target: Target, key: str, sealed: Path, wrong: str
    ) -> None:
        """Keys become paths and object names: nothing but an id and a file name may."""
        wrong = wrong.format(id=split(key)[0])

        with pytest.raises(ValueError, match="not a key"):
            put(target, wrong, sealed)
        with pytest.raises(ValueError, match="not a key"):
            asyncio.run(target.find(sending(wrong, sealed)))
