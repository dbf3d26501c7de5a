"""What one document costs the disk: no fsync is added without somebody's noticing.

From the drop until it is filed, in a service that has filed one before. Counted on the
disk that records, by the place in the code; what the folder targets do is not the box's.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from contrib.demo import scans
from tests.power.cuts import SCANNER, PoweredBox, make_durable, named, scan
from tests.power.disk import Sync
from tests.power.power import Power
from tests.system.fixtures import seal_token

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

__all__ = ["seal_token"]

PLACES = Counter(
    {
        "durable.sync_folder < durable.make_folders < origin.write": 1,
        "durable._write < durable.write_unsynced < durable.write < origin.write": 1,
        "durable.sync_folder < durable.write < origin.write": 1,
        "moving.bring": 1,
        "durable.sync_folder < claim._finish": 1,
        "__init__.sync_names": 1,
        "durable._write < durable.write_unsynced < sealer._on_its_way": 1,
        "gap._fill": 1,
        "durable.sync_folder < gap.splice": 1,
        "durable._write < durable.write_unsynced < manifest.write": 1,
        "durable._write < durable.write_unsynced < durable.write < manifest.write": 1,
        "durable.sync_folder < durable.write < manifest.write": 1,
    }
)
"""Of the document's own files and folders: the same whatever else goes on."""
COMMITS = 8
"""claim, begin, seal, freeze, and of each of two deliveries that it begins and that it ends.
Fewer where two of them wait at the same time: they share one."""
WAL = "SQLite: spool.db-wal"
LEDGER = "journal._append"
TARGET = "folder."


def test_one_document_alone(tmp_path: Path, seal_token: TokenFiles) -> None:
    """Its files and folders take twelve fsyncs, each commit one, and the ledger's files at most two."""
    drawn = []
    for number in range(2):
        drawn.append(tmp_path / f"scan{number}.pdf")
        drawn[-1].write_bytes(scans.pdf_of([scans.jpeg_page(number + 1, title="a", dpi=40)]))
    power = Power(tmp_path)
    try:
        box = PoweredBox(power.disk, seal_token)
        make_durable(power.disk)
        try:
            box.start()
            scan(box.root / "hot", drawn[0], careful=True)
            box.wait(box.at_rest(1), "the first is filed")
            begun = power.length()
            scan(box.root / "hot", drawn[1], careful=True)
            box.wait(box.at_rest(2), "the second is filed")
            ended = power.length()
            assert box.stop() == 0
        finally:
            box.close()
        done = named(power.recording().operations)[begun:ended]
    finally:
        power.close()
    places = Counter(one.site for one in done if isinstance(one, Sync) and one.site != SCANNER)
    own = Counter({site: n for site, n in places.items() if not site.startswith(TARGET)})
    commits, ledger = own.pop(WAL, 0), own.pop(LEDGER, 0)

    assert own == PLACES
    assert 0 < commits <= COMMITS
    assert 0 < ledger <= 2 * COMMITS
