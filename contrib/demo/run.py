"""`make demo`: the whole way of a few scans on this machine, and where to look afterwards.

Makes a token with a demo CA and a seal certificate, writes a configuration,
starts a broker and the service, plays the scanner, and prints each step of each
document as the ledger has it. Everything lies below demo/; nothing else is
touched. It is no test of the service: it looks only at what anybody can see, the
ledger, the targets and `scanseal verify`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contrib.demo import scanner, scans, token
from contrib.demo.archives import ARCHIVES, BucketArchive, FolderArchive
from daemon.document import folder_of, printable
from daemon.records.reader import Reader, open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).resolve().parents[2]
DEMO: Final = HERE / "demo"
SCANSEAL: Final = Path(sys.executable).with_name("scanseal")
PAGE: Final = "127.0.0.1:8480"
WAIT_SECONDS: Final = 600.0
PAUSES: Final = (0.4, 4.0, 0.8, 0.2, 0.6)
"""How long the scanner takes for each file; one of them for several seconds."""

CONFIG: Final = """\
# Written by `make demo`; for a real box start from config/scanseal.toml.
[box]
name = "demo"
organisation = "Stadt Musterstadt, Marktamt"
state_dir = "{demo}/state"
language = "de"
min_free_mb = 64
clock = "host"

[[hotfolder]]
name = "post"
path = "{demo}/hotfolder"
rejected = "{demo}/rejected"
profile = "post"
settle_seconds = 1.0
give_up_seconds = 5.0
rescan_seconds = 1.0
operator = "Vorführung (demo)"

[profile.post]
procedure = "Scankonzept Demo 1.0"

[hsm]
module = "{token.module}"
token = "{token.token}"
key = "{token.key}"
certificate = "{token.certificate}"
chain = "{token.chain}"
pin = "file:{token.pin}"

[seal]

[[target]]
name = "dms"
kind = "folder"
role = "dms"
path = "{demo}/dms"

[[target]]
name = "archive"
role = "archive"
{archive.toml}

[mqtt]
host = "127.0.0.1"
port = {port}
interval_seconds = 10

[web]
listen = "{page}"
"""

STEPS: Final = {
    "claim": "claimed out of the hot folder",
    "refuse": "REFUSED",
    "seal": "sealed, read back and compared",
    "freeze": "manifest sealed, deliveries made",
    "delivery-send": "sending to",
    "delivery-acknowledge": "proven by",
    "delivery-reject": "REFUSED by",
    "file": "FILED",
    "set-aside": "HELD",
}


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="your own scans")
    parser.add_argument("--targets", choices=[*ARCHIVES], default="folder", help="the archive")
    arguments = parser.parse_args()
    files = arguments.files
    if missing := [str(file) for file in files if not file.is_file()]:
        print(f"no such file: {', '.join(missing)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        archive = _archive(arguments.targets)
        with _places(archive) as config, _service(config) as service:
            good = _show(config, archive, files or _drawn())
            if os.environ.get("DEMO_EXIT"):
                return 0 if good else 1
            print(f"\nThe page: http://{PAGE}/   (Ctrl-C ends the demo)")
            service.wait()
            print(f"the service has ended by itself: see {DEMO / 'scanseal.log'}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print("\nThe demo ends; what it made stays in demo/ (`make clean-demo` removes it).")
        return 0
    except _GivesUp as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


class _GivesUp(Exception):
    """Something that the demo cannot go on without; the text says what to do."""


def _archive(kind: str) -> FolderArchive | BucketArchive:
    """Return the archive to deliver to; what an earlier demo has delivered stays where it is."""
    config = DEMO / "scanseal.toml"
    before = config.read_text() if config.exists() else ""
    if before and ('kind = "s3"' in before) != (kind == "s3"):
        raise _GivesUp(f"{DEMO} has another archive from before: run `make clean-demo` first")
    return ARCHIVES[kind](DEMO)


@contextlib.contextmanager
def _places(archive: FolderArchive | BucketArchive) -> Iterator[Path]:
    """Make demo/ with token, configuration, archive and broker; stop the last two at the end."""
    DEMO.mkdir(exist_ok=True)
    lock = (DEMO / "lock").open("w")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _GivesUp(
            f"a demo runs here already: drop files into {DEMO / 'hotfolder'}, or end it with Ctrl-C"
        ) from None
    for name in ("hotfolder", "rejected", "dms"):
        (DEMO / name).mkdir(parents=True, exist_ok=True)
    made = token.find_token(DEMO / "token")
    if made is None:
        print("Making a SoftHSM token with an RSA-3072 key, a demo CA and a seal certificate ...")
        shutil.rmtree(DEMO / "token", ignore_errors=True)
        made = token.make_token(DEMO / "token", pin=token.random_pin())
    shutil.copy(made.ca, DEMO / "ca.pem")
    port = _free_port()
    config = DEMO / "scanseal.toml"
    text = CONFIG.format(demo=DEMO, token=made, port=port, page=PAGE, archive=archive)
    config.write_text(text)
    os.environ["SOFTHSM2_CONF"] = str(made.softhsm2_conf)
    broker = DEMO / "mosquitto.conf"
    broker.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise _GivesUp("mosquitto is missing: run `sh contrib/setup.sh mosquitto`")
    with (DEMO / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([found, "-c", str(broker)], stdout=log, stderr=log)
    try:
        print(f"MQTT: mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'scanseal/#'")
        if archive.kind == "s3":
            print("Starting SeaweedFS, the archive; that takes up to 20 s ...")
        with archive.running():
            yield config
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _service(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    host, _, port = PAGE.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            raise _GivesUp(f"{PAGE} is taken by another program: `ss -ltnp` names it") from None
    with (DEMO / "scanseal.log").open("ab") as log:
        process = subprocess.Popen(
            [SCANSEAL, "run", "--config", config], stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 60
        while subprocess.run(
            [SCANSEAL, "status", "--config", config], capture_output=True, check=False
        ).stderr:
            if process.poll() is not None or time.monotonic() > until:
                raise _GivesUp(f"the service does not start: see {DEMO / 'scanseal.log'}")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


def _drawn() -> list[Path]:
    folder = DEMO / "scans"
    if not (folder / "drawn").exists():
        print("Drawing five scans (300 dpi, colour, noise, a little skew) ...")
        folder.mkdir(parents=True, exist_ok=True)
        scans.draw_all(folder)
        (folder / "drawn").touch()
    return sorted(p for p in folder.iterdir() if p.suffix)


def _show(config: Path, archive: FolderArchive | BucketArchive, files: list[Path]) -> bool:
    """Play the scanner, follow the ledger, and say at the end where everything lies."""
    left = [path for path in (DEMO / "hotfolder").iterdir() if path.is_file()]
    if left:
        print(f"Waiting for {len(left)} files that lie in the hot folder from before ...")
        until = time.monotonic() + 60
        while any(path.exists() for path in left) and time.monotonic() < until:
            time.sleep(0.2)
    before = set(_documents())
    print(f"Scanning {len(files)} files into {DEMO / 'hotfolder'}, in pieces, with pauses ...")
    names = _names(files)
    for number, (name, file) in enumerate(names.items()):
        seconds = PAUSES[number % len(PAUSES)]
        threading.Thread(
            target=scanner.drop,
            args=(file, DEMO / "hotfolder", name),
            kwargs={"pieces": 5, "seconds": seconds},
            daemon=True,
        ).start()
    states = _follow(before, len(files))
    filed = sorted(document for document, event in states.items() if event == "file")
    print()
    good = len(filed) == len(files)
    for document in filed:
        sealed = DEMO / "dms" / document / "sealed.pdf"
        command = [str(SCANSEAL), "verify", "--config", str(config), str(sealed)]
        verified = subprocess.run(command, capture_output=True, check=False).returncode == 0
        where, whole = archive.held(document)
        good &= verified and whole
        print(f"{_name(document)}: {'seal verified' if verified else 'SEAL DOES NOT VERIFY'}")
        print(f"  DMS      {sealed}")
        print(f"  archive  {where} ({'complete' if whole else 'INCOMPLETE'})")
    for document, event in sorted(states.items()):
        if event != "file":
            print(f"{_name(document)}: not filed; a copy with the reason is in {DEMO / 'rejected'}")
    example = DEMO / "dms" / (filed[0] if filed else "ID") / "sealed.pdf"
    nss = DEMO / "nss"
    print(
        f"\nCheck one yourself:\n"
        f"  {SCANSEAL} verify --config {config} {example}\n"
        f"  {SCANSEAL} ledger verify --config {config}\n"
        f"with poppler and NSS (Debian: poppler-utils, libnss3-tools):\n"
        f"  mkdir -p {nss} && certutil -N -d sql:{nss} --empty-password\n"
        f"  certutil -A -d sql:{nss} -n demo -t C,C,C -a -i {DEMO / 'ca.pem'}\n"
        f"  pdfsig -nssdir sql:{nss} {example}"
    )
    if filed and (text := archive.tries(filed[0])):
        print(text)
    print(
        f"\n{len(filed)} of {len(files)} filed in both targets, {'all good' if good else 'NOT ALL GOOD'}."
    )
    return good


def _follow(before: set[str], expected: int) -> dict[str, str]:
    """Print each new ledger line until every document is at rest; return its last event."""
    database = DEMO / "state" / "spool.db"
    seen = _last_seq(open_reader(database)) if before else 0
    last: dict[str, str] = {}
    until = time.monotonic() + WAIT_SECONDS
    while len(last) < expected or not all(e in {"file", "refuse"} for e in last.values()):
        if time.monotonic() > until:
            print("... this takes too long: see the page and demo/scanseal.log")
            break
        for line in open_reader(database).after(seen):
            entry = json.loads(line)
            seen = entry["seq"]
            document, event = entry["document"], entry["event"]
            if document and document not in before:
                last[document] = event if event in STEPS else last.get(document, event)
                detail = entry["detail"]
                more = detail.get("target") or detail.get("code") or ""
                text = STEPS.get(event, event)
                print(f"  {entry['at'][11:23]}  {_name(document):<28} {text} {more}".rstrip())
        time.sleep(0.2)
    return last


def _last_seq(reader: Reader) -> int:
    return reader.head().seq


def _documents() -> Iterator[str]:
    for path in (DEMO / "state" / "documents").glob("*/*/*/*"):
        yield path.name


def _name(document: str) -> str:
    path = folder_of(DEMO / "state" / "documents", document) / "document.json"
    return printable(bytes.fromhex(json.loads(path.read_text())["name_hex"]))


def _names(files: list[Path]) -> dict[str, Path]:
    """Give each file a name in the hot folder that is not there yet."""
    names: dict[str, Path] = {}
    for file in files:
        name, number = file.name, 1
        while name in names or (DEMO / "hotfolder" / name).exists():
            number += 1
            name = f"{file.stem}-{number}{file.suffix}"
        names[name] = file
    return names


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
