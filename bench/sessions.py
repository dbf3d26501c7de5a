"""Signatures per second with one HSM process, and with two side by side."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final

from bench.table import Row, middle
from daemon import hsm
from daemon.document import Digest
from tests.misbehaving import Misbehaving, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from contrib.demo.token import TokenFiles

ROUNDS: Final = 20
SIGNATURES: Final = 50
"""By each process in each round."""
SLOW_MS: Final = 50
LIMIT: Final = 1.8
SCHEME: Final = "rsa-pss-sha256"


def sessions(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure; return the rows and a note."""
    folder.mkdir(parents=True)
    one, two = asyncio.run(_rounds(folder, token, {}, SIGNATURES))
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    slow = Misbehaving.make(compiled(folder), token, folder)
    slow.does(f"C_Sign slow {SLOW_MS}")
    environment = slow.environment(token)
    waiting = asyncio.run(_rounds(folder, slow.files, environment, SIGNATURES // 5))
    waited = [b / a for a, b in zip(*waiting, strict=True)]

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
        row(
            "two_sessions_waiting",
            f"two HSM processes against one, of a token that takes {SLOW_MS} ms more",
            waited,
            "times",
            LIMIT,
        ),
        row("two_sessions_ratio", "two HSM processes against one", ratios, "times", LIMIT),
        row("one_session", "signatures per second, one HSM process", one, "/s", None),
        row("two_sessions", "signatures per second, two HSM processes", two, "/s", None),
    ]
    return rows, [
        (
            f"Signatures by `daemon.hsm.Hsm` and nothing else, {SIGNATURES} by each process, one"
            f" process and two of them in turn, {ROUNDS} rounds. The ratio is the median of the"
            " rounds' own. SoftHSM signs on the processors of this machine, so both need one that is"
            " free, beside this process, which asks; a token has a processor of its own, as that which only"
            " waits (`tests/pkcs11/misbehave.c`)."
        )
    ]


async def _rounds(
    folder: Path, token: TokenFiles, more: Mapping[str, str], signatures: int
) -> tuple[list[float], list[float]]:
    settings = hsm.HsmSettings(
        module=str(token.module), token=token.token, key=token.key, pin=token.pin
    )
    environment = {**os.environ, "SOFTHSM2_CONF": str(token.softhsm2_conf), **more}
    both = [hsm.Hsm(hsm.hsm_worker(folder, environment), settings) for _ in range(2)]
    one: list[float] = []
    two: list[float] = []
    try:
        for device in both:
            await device.open()
            await device.login()
            await device.find_key()
            await _signed(device, 1)
        for number in range(ROUNDS):
            # Each of them is the single one as often.
            one.append(await _rate([both[number % 2]], signatures))
            two.append(await _rate(both, signatures))
    finally:
        for device in both:
            await device.close()
    return one, two


async def _rate(devices: list[hsm.Hsm], signatures: int) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(_signed(device, signatures) for device in devices))
    return len(devices) * signatures / (time.perf_counter() - begun)


async def _signed(device: hsm.Hsm, signatures: int) -> None:
    for _ in range(signatures):
        data = os.urandom(200)
        await device.sign(SCHEME, Digest.of(data), data)
