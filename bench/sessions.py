"""Signatures per second with one HSM process, and with two side by side."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final

from bench.table import Row, middle
from daemon import hsm
from daemon.document import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

ROUNDS: Final = 20
SIGNATURES: Final = 50
"""By each process in each round."""
LIMIT: Final = 1.8
SCHEME: Final = "rsa-pss-sha256"


def sessions(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure; return the rows and a note."""
    folder.mkdir(parents=True)
    one, two = asyncio.run(_rounds(folder, token))
    ratios = [b / a for a, b in zip(one, two, strict=True)]

    def row(name: str, words: str, values: list[float], unit: str, limit: float | None) -> Row:
        value, spread = middle(values)
        return Row(
            name=f"token.{name}",
            words=words,
            value=value,
            unit=unit,
            spread=spread,
            limit=limit,
            more_is_better=True,
        )

    rows = [
        row("two_sessions_ratio", "two HSM processes against one", ratios, "times", LIMIT),
        row("one_session", "signatures per second, one HSM process", one, "/s", None),
        row("two_sessions", "signatures per second, two HSM processes", two, "/s", None),
    ]
    return rows, [
        (
            f"Signatures by `daemon.hsm.Hsm` and nothing else, {SIGNATURES} by each process, one"
            f" process and two of them in turn, {ROUNDS} rounds. The ratio is the median of the"
            " rounds' own. SoftHSM signs on the processors of this machine, so both need one that is"
            " free, beside this process, which asks; a token has a processor of its own."
        )
    ]


async def _rounds(folder: Path, token: TokenFiles) -> tuple[list[float], list[float]]:
    settings = hsm.HsmSettings(
        module=str(token.module), token=token.token, key=token.key, pin=token.pin
    )
    environment = {**os.environ, "SOFTHSM2_CONF": str(token.softhsm2_conf)}
    both = [hsm.Hsm(hsm.hsm_worker(folder, environment), settings) for _ in range(2)]
    one: list[float] = []
    two: list[float] = []
    try:
        for device in both:
            await device.open()
            await device.login()
            await device.find_key()
            await _signed(device)
        for number in range(ROUNDS):
            # Each of them is the single one as often.
            one.append(await _rate([both[number % 2]]))
            two.append(await _rate(both))
    finally:
        for device in both:
            await device.close()
    return one, two


async def _rate(devices: list[hsm.Hsm]) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(_signed(device) for device in devices))
    return len(devices) * SIGNATURES / (time.perf_counter() - begun)


async def _signed(device: hsm.Hsm) -> None:
    for _ in range(SIGNATURES):
        data = os.urandom(200)
        await device.sign(SCHEME, Digest.of(data), data)
