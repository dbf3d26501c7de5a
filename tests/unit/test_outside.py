"""docs/outside.md is the register of the outside: whatever the code offers stands there."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import __main__, config
from daemon.targetsections import KINDS
from daemon.web import PageContext, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from daemon.status import Snapshot


async def nothing() -> Snapshot:
    raise AssertionError


def app_of_the_page() -> web.Application:
    return build(
        PageContext(
            snapshot=nothing,
            database=Path("/nonexistent"),
            language="de",
            timezone="UTC",
            listen="127.0.0.1:1",
        )
    )


PAGE = (Path(__file__).parents[2] / "docs" / "outside.md").read_text(encoding="utf-8")


def commands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield each command with its options."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        options = {option for a in parser._actions for option in a.option_strings}
        yield before.strip(), options - {"-h", "--help", "--config"}
    for action in inner:
        for name, sub in action.choices.items():
            yield from commands(sub, f"{before} {name}")


def test_every_command_and_option_stands_in_the_register() -> None:
    """A command that nobody wrote down could be changed without anybody noticing."""
    documented = dict(
        re.findall(r"^\| `([a-z-]+(?: [a-z][a-z-]*)?)([^`]*)` \|", PAGE, re.MULTILINE)
    )
    offered = dict(commands(__main__._parser()))

    assert documented.keys() == offered.keys()
    for name, options in offered.items():
        assert all(option in documented[name] for option in options), name


def test_every_configuration_key_stands_in_the_register() -> None:
    """The table of sections and keys is the one that the loader knows."""
    rows = dict(re.findall(r"^\| `(\[+[a-zA-Z.]+\]+[^`]*)` \| (.*) \|$", PAGE, re.MULTILINE))
    documented = {name: set(re.findall(r"`([a-z0-9_]+)`", keys)) for name, keys in rows.items()}
    known = {f"[{name}]": cls for name, cls in {**config.TABLES, **config.OPTIONAL}.items()}
    known["[[hotfolder]]"] = config.HotFolder
    known |= {f'[[target]] kind = "{kind}"': cls for kind, cls in KINDS.items()}
    known["[profile.NAME]"] = config.Profile

    assert documented == {name: {f.name for f in fields(cls)} for name, cls in known.items()}


def test_every_route_stands_in_the_register() -> None:
    """What answers over HTTP is what the page says, and nothing more."""
    documented = set(re.findall(r"^\| `(/[^`]*)` \|", PAGE, re.MULTILINE))
    offered = {resource.canonical for resource in app_of_the_page().router.resources()}

    assert documented == offered - {"/static"}
