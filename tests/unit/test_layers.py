"""Who may import whom: each row of the table imports only from rows above it.

This table is the order of the modules; docs/architecture.md refers to it. It is the
design's table, with what was added to it in its place (docs/decisions/0004).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "daemon"

ROWS = (
    # words and values: no file, no clock, no table
    "daemon",
    "errors",
    "codes words",
    "formats",
    "findings",
    "document",
    "counting latency slip",
    "magic",
    "alarms",
    "lifecycle",
    "sections windows",
    "targetsections",
    "config",
    "clock",
    # the process and its surroundings
    "durable",
    "credential",
    "lock log notify progress volume",
    # what is kept, and how
    "schema",
    "ledger",
    "records records.logins records.rows",
    "records.transaction records.damage",
    "records.reader",
    "records.counters records.moves records.journal records.writer",
    "records.clocks",
    (
        "records.copies records.days records.documents records.deliveries records.logbook"
        " records.forgetting records.descriptions records.operators records.rechecks records.segments records.stamps records.twins"
    ),
    "records.replay records.thread",
    "spool",
    "clockgate",
    # other processes, and what runs in them
    "syscalls",
    "sandbox",
    "child",
    "workers",
    "der",
    "spki",
    "cryptopolicy",
    "certificate pinfile",
    "chain",
    "qualified",
    "cms csr evidence newcertificate outward timestamped",
    "transfernote",
    "pages",
    "pages.entries",
    (
        "pages.colours pages.dss pages.filename pages.ifd pages.jbig2 pages.picture pages.policy pages.properties"
        " pages.sidecar pages.signature pages.trees pages.intent pages.attached pages.lettering"
        " pages.objects pages.drawn"
    ),
    "pages.inspect pages.operators pages.packet pages.revisions pages.sample",
    "pages.pdfa",
    (
        "pages.symbols pages.references pages.coded pages.placeholder pages.frames pages.graphs"
        " pages.jpeg pages.rewrite pages.sealed"
    ),
    "pages.claimed pages.holdings pages.page pages.writer pages.layout pages.decoded pages.jp2",
    "pages.fax pages.packed pages.tiffjpeg pages.pixels pages.png",
    "pages.strips pages.tiff",
    "pages.cover pages.ink",
    "pages.covered pages.remarks",
    "pages.shown pages.wrap",
    "prepare",
    "report reportwords notewords judgement",
    "embedded reading",
    "verify",
    "examine",
    "audit",
    "auditreport",
    "cryptoki",
    "hsm inventory",
    "pin",
    "tokenlist",
    "notary revocation template",
    # the key, and the stage that seals
    "token signer",
    "book key",
    "gap manifest",
    "workplace",
    "pagetasks",
    "stamping",
    "sealer timestamp",
    "proofs",
    "turns",
    # the stage that reads the store again
    "stored",
    "agreement recheck soundness",
    # the stage that delivers
    "targets targets.pace",
    "targets.files",
    "targets.element targets.enaioforms targets.folder targets.retention targets.sent targets.sigv4 outgoing",
    "targets.http",
    "targets.bucket targets.mayan",
    "targets.locking targets.multipart",
    "targets.s3",
    "targets.webdav targets.enaio",
    "targets.kinds",
    "selftest",
    "doubt",
    "receipts",
    "delivering",
    "terms",
    "proving",
    "lane",
    "sync",
    # the stage that forgets
    "forgetting",
    # the stage that seals and archives the ledger
    "segments",
    # the stage that takes scans in
    "intake",
    "intake.bell intake.origin intake.pairing intake.settle",
    "intake.moving",
    "intake.sharedfolder",
    "intake.copies intake.explanation intake.survey",
    "intake.arrivals intake.kin intake.wayback",
    "intake.claim intake.sidecar intake.report",
    "intake.adoption intake.landing",
    "intake.doorkeeper intake.recovery",
    "intake.reading",
    "intake.describer",
    "hotfolder",
    # the end of a box
    "decommission",
    # views: nothing reads them back
    "status",
    "summary lookout",
    "mqtt",
    "web.formats web.guard web.metrics",
    "web.pages",
    "web",
    # everything together
    "control",
    "checkup",
    "parts",
    "arrived",
    "commands",
    "archived backup service rebuild",
    "restore",
    "__main__",
)
"""From the top: modules of one row do not know each other."""

STAGES = (
    ("hotfolder", "intake"),
    ("sealer", "stamping", "turns"),
    ("sync", "lane"),
    ("segments",),
    ("recheck",),
    ("forgetting",),
)
"""They meet in the spool and nowhere else."""

WORKERS_ONLY = ("pikepdf", "PyKCS11", "pyhanko", "PIL", "img2pdf", "lxml")
"""What parses foreign bytes, or talks to a token: never in the main process (I10)."""


def modules() -> dict[str, Path]:
    """Return every module below daemon/, named without the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name or "daemon"] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return what a module imports from this package, wherever in it, also for types only."""
    wanted = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import cannot be found by its name"
            # `from daemon import spool` and `from daemon.spool import Spool`
            wanted |= {f"{node.module}.{alias.name}" for alias in node.names}
    found = set()
    for dotted in wanted:
        here = dotted.removeprefix("daemon").lstrip(".") if dotted.startswith("daemon") else None
        if here is None:
            continue
        while here and here not in known:
            here = here.rpartition(".")[0]
        found.add(here or "daemon")
    return found - {name}


def rank() -> dict[str, int]:
    """Return in which row each module stands."""
    return {name: number for number, row in enumerate(ROWS) for name in row.split()}


def test_every_module_stands_in_the_table_once() -> None:
    """A module without a row could import anything; a row without a module misleads a reader."""
    named = " ".join(ROWS).split()

    assert sorted(named) == sorted(set(named))
    assert set(modules()) == set(named)


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_only_from_rows_above_it(name: str) -> None:
    """Whoever reads from the top never meets a word that was not explained."""
    known, rows = modules(), rank()

    below = {other for other in imported(name, known[name], known) if rows[other] >= rows[name]}

    assert not below


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage[0])
def test_stages_do_not_know_each_other(stage: tuple[str, ...]) -> None:
    """Any of them may be killed or replaced: what it leaves to another is a row of the spool."""
    known = modules()
    others = {name for other in STAGES if other != stage for name in other}
    for name, path in known.items():
        if name.partition(".")[0] in stage:
            heads = {found.partition(".")[0] for found in imported(name, path, known)}
            assert not heads & others, name


def test_imports_are_found_wherever_they_stand() -> None:
    """The test above is worth what this function sees: checked on modules with known imports."""
    known = modules()

    assert {"errors", "schema"} <= imported("spool", known["spool"], known)
    assert "child" in imported("hsm", known["hsm"], known)  # at the end, under __main__
    assert "spool" in imported("commands", known["commands"], known)
    assert "config" in imported("parts", known["parts"], known)  # for types only


def test_the_main_process_imports_nothing_that_parses() -> None:
    """Everything that `scanseal run` and the other commands import, in a fresh interpreter."""
    script = (
        "import sys\n"
        "import daemon.__main__, daemon.service, daemon.checkup, daemon.summary, daemon.verify\n"
        f"print(*[name for name in {WORKERS_ONLY!r} if name in sys.modules])\n"
        "print('daemon.spool' in sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines() == ["", "True"]
