"""The PIN stays where it was read: in the token's own process, for as long as a call takes (I6)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contrib.demo import token
from tests.misbehaving import Misbehaving, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.box import Box

PIN = "7391-Ottokar-5526"
WRONG = "8264-Ottilie-1937"


def processes(group: int) -> list[Path]:
    """Every process of the service's group."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(place.name)) == group:
                found.append(place)
        except ProcessLookupError:
            continue
    return found


def told(box: Box) -> list[str]:
    """Where one of the two PINs can be read: environments, arguments, log, everything we wrote."""
    secrets = (PIN.encode(), WRONG.encode())
    assert box.process is not None
    places = [
        place / name for place in processes(box.process.pid) for name in ("environ", "cmdline")
    ]
    assert places
    places += [path for path in box.root.rglob("*") if path.is_file() and "pin" not in path.name]
    found = []
    for path in places:
        try:
            content = path.read_bytes()
        except OSError:
            continue  # it has ended, or is nobody's to read
        found += [str(path) for secret in secrets if secret in content]
    return found


@pytest.mark.parametrize(
    "fault", ["", "C_Login hang", "C_Login crash", "C_Login ckr 0x30", "C_Sign crash"]
)
def test_i6_the_pin_is_in_no_environment_argument_log_or_file(
    make_box: Callable[..., Box],
    drawn: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """After a good login, a rejected one, and a library that dies with the PIN in its hands."""
    files = token.make_token(tmp_path / "token", pin=PIN)
    folder = tmp_path / "crooked"
    folder.mkdir()
    crooked = Misbehaving.make(compiled(folder), files, folder)
    for name, value in crooked.environment(files).items():
        monkeypatch.setenv(name, value)
    crooked.does(*([fault] if fault else []))
    box = make_box(token=crooked.files).start()
    box.drop(drawn["foto.jpg"])
    if fault.startswith("C_Login"):
        box.wait(lambda: crooked.calls()["C_Login"] > 0, "the PIN is presented")
    else:
        box.wait(lambda: crooked.calls()["C_Sign"] > 0, "something is signed")
    if not fault:
        box.wait(box.at_rest(1), "it is filed")

    assert told(box) == []
    assert not list(box.root.rglob("core*"))
    assert box.command("status", "--json").stdout.count("Ottokar") == 0


def test_i6_a_wrong_pin_is_not_told_either(make_box: Callable[..., Box], tmp_path: Path) -> None:
    """Least of all in the sentence about it: it may be the right one of another token."""
    files = token.make_token(tmp_path / "token", pin=PIN)
    wrong = tmp_path / "wrong-pin"
    wrong.write_text(WRONG)
    wrong.chmod(0o400)
    box = make_box(token=files, pin=wrong).start()
    box.wait(lambda: box.status()["token"]["code"] == "pin-rejected", "it is rejected")

    assert told(box) == []
    assert "Ottilie" not in box.command("status").stdout + box.command("hsm", "retry-login").stdout
