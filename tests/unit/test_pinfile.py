"""Who may read the file with the PIN, as the mode and the ACL say."""

from __future__ import annotations

import struct

import pytest

from daemon.pinfile import closed_to_others

SERVICE = 990
OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return entries of tag, permission and id as `system.posix_acl_access` holds them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


SYSTEMD = ((OWNER, 4, NOBODY), (USER, 4, SERVICE), (GROUP, 0, NOBODY), (MASK, 4, NOBODY))


@pytest.mark.parametrize("mode", [0o100400, 0o100600, 0o100700])
def test_a_file_of_its_owner_alone_is_closed(mode: int) -> None:
    """What the manual asks for."""
    assert closed_to_others(mode, None, SERVICE)


@pytest.mark.parametrize("mode", [0o100440, 0o100404, 0o100644, 0o100420, 0o100401, 0o100777])
def test_a_file_that_others_can_touch_is_open(mode: int) -> None:
    """Who can write it can choose how often which PIN is tried."""
    assert not closed_to_others(mode, None, SERVICE)


def test_a_credential_that_systemd_gives_by_acl_is_closed() -> None:
    """The mask shows as group bits (0440), but no group can read it."""
    assert closed_to_others(0o100440, acl(*SYSTEMD, (OTHER, 0, NOBODY)), SERVICE)


@pytest.mark.parametrize(
    "entry",
    [(USER, 4, 1000), (GROUP, 4, NOBODY), (NAMED_GROUP, 4, 100), (OTHER, 4, NOBODY)],
)
def test_an_acl_that_lets_anyone_else_in_is_open(entry: tuple[int, int, int]) -> None:
    """One more reader is one too many."""
    assert not closed_to_others(0o100440, acl(*SYSTEMD, entry), SERVICE)


def test_the_mode_for_all_others_is_open_whatever_the_acl_says() -> None:
    """The two disagree: that is not for us to explain."""
    assert not closed_to_others(0o100444, acl(*SYSTEMD), SERVICE)
