"""The commands: what each does, and with which exit code it ends.

    0 good    1 something is wrong, and named    2 wrong usage
    74 damaged records    78 bad configuration

A command that changes something asks the running service through its socket;
nothing here opens the spool to write.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import re
import sqlite3
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import __version__, config
from daemon.codes import CODES
from daemon.document import utc_time
from daemon.errors import ConfigError, CorruptionError, DaemonError, PersonNeeded
from daemon.ledger import Head
from daemon.words import LANGUAGES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.progress import Progress

GOOD: Final = 0
WRONG: Final = 1
DAMAGED: Final = os.EX_IOERR
BAD_CONFIG: Final = os.EX_CONFIG
MODULE_SECONDS: Final = 20.0
"""So long a module that no configuration speaks of may take."""
ID_HELP: Final = "the id, or its last eight digits: they stand behind the ~ of the rejected file"

OPERATOR_HELP: Final = "a person, or a name that leads to one; never only the organisation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ConfigError as exc:
        print(f"{options.config}:", file=sys.stderr)
        for problem in exc.problems:
            print(f"  - {problem}", file=sys.stderr)
        return BAD_CONFIG
    except CorruptionError as exc:
        _explain(exc, options)
        return DAMAGED
    except DaemonError as exc:
        _explain(exc, options)
        return WRONG
    except PermissionError as exc:
        print(
            f"not-allowed: {exc.filename}: {exc.strerror}\n"
            f"This user may not read it. Run it as the service's user: "
            f"sudo -u scanseal scanseal ...",
            file=sys.stderr,
        )
        return WRONG
    except (OSError, sqlite3.Error) as exc:
        if not _is_refusal(exc):
            raise
        _explain(PersonNeeded("disk-refuses", str(exc)), options)
        return WRONG


def _is_refusal(exc: OSError | sqlite3.Error) -> bool:
    """Return whether a disk takes nothing now: there is nothing wrong with us."""
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
    return exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=config.DEFAULT_PATH,
        metavar="PATH",
        help="the configuration (default: %(default)s)",
    )
    parser = argparse.ArgumentParser(
        prog="scanseal",
        description="Seals scans with an HSM and files them in DMS and archive without losing one.",
        epilog="Exit codes: 0 good, 1 something is wrong and named, 2 wrong usage, "
        "74 damaged records, 78 bad configuration.",
    )
    parser.add_argument("--version", action="version", version=f"scanseal {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, text: str, run: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(run=run)
        return made

    command("run", "Run the service in the foreground.", _run)
    command(
        "check", "Check the configuration and what it names, and say everything at once.", _check
    )
    status = command("status", "Ask the running service how it is doing.", _status)
    status.add_argument("--json", action="store_true", help="the whole snapshot as JSON")
    verify = command("verify", "Say who sealed a file, and whether the seal holds.", _verify)
    verify.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="a PDF; several may be named"
    )
    verify.add_argument(
        "--all",
        action="store_true",
        help="instead of files: read every sealed document in the store again",
    )
    verify.add_argument("--deep", action="store_true", help="with --all: as a FILE, too; slow")
    verify.set_defaults(misused=verify.error)
    verify.add_argument(
        "--trust",
        type=Path,
        action="append",
        metavar="PEM",
        help="trust these certificates instead of [hsm] chain; then no configuration is needed;"
        " may be given several times, and all are trusted",
    )
    verify.add_argument("--language", choices=("de", "en"), help="of the report")
    verify.add_argument(
        "--format", choices=("text", "json", "html"), default="text", help="(default: %(default)s)"
    )
    _saving(command)
    release = command(
        "release", "Let a refused or held document, or its deliveries, go on.", _release
    )
    release.add_argument("id", metavar="ID", help=ID_HELP)
    note = command("note", "Show a sealed document's transfer note, in words.", _note)
    note.add_argument("id", metavar="ID", help=ID_HELP)
    note.add_argument("--language", choices=("de", "en"), help="of the words")
    note.add_argument("--xml", action="store_true", help="note.xml as it is")
    explain = command(
        "explain", "Say why a number of a scanner's counter never arrived.", _explain_missing
    )
    explain.add_argument("hotfolder", metavar="HOTFOLDER", help="the hot folder's name")
    explain.add_argument("number", metavar="NUMBER", help="the number that is missing")
    explain.add_argument(
        "--reason",
        required=True,
        metavar="TEXT",
        help="why; goes into the ledger (1 to 1000 letters)",
    )
    explain.add_argument("--subfolder", metavar="NAME", help="if it is missing in several")
    supersede = command("supersede", "Say that one document stands for a refused one.", _supersede)
    supersede.add_argument("old", metavar="OLD", help=f"the refused one: {ID_HELP}")
    supersede.add_argument("new", metavar="NEW", help="the one that stands for it, likewise")
    arrived = command("arrived", "Did my scan arrive? Show the last scans.", _arrived)
    which = arrived.add_mutually_exclusive_group()
    which.add_argument(
        "name",
        nargs="?",
        default="",
        metavar="NAME-PART",
        help="a part of the file's name, or digits of its id",
    )
    which.add_argument(
        "--since", default="", metavar="TIME", help="from 14:30 today, or from a day on"
    )
    which.add_argument("--batch", default="", metavar="BATCH", help="the scans of one batch")
    arrived.add_argument("--last", type=int, metavar="N", help="at most so many (default: 20)")
    arrived.add_argument("--json", action="store_true", help="everything as JSON")
    sealed = command(
        "sealed-since", "List what was sealed since a time, as after a revocation.", _sealed_since
    )
    sealed.add_argument(
        "time",
        metavar="TIME",
        help="from 14:30 today, a day, or a time in UTC: 2026-11-22T14:30:00.000Z",
    )
    sealed.add_argument("--json", action="store_true", help="everything as JSON")
    discard = command(
        "discard", "Give up a refused document; its bytes are kept for a while.", _discard
    )
    discard.add_argument("id", metavar="ID", help=ID_HELP)
    discard.add_argument(
        "--reason",
        required=True,
        metavar="TEXT",
        help="why; goes into the ledger (1 to 1000 letters)",
    )
    _of_targets(command)
    _groups(commands, common)
    return parser


def _saving(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands for the day on which a disk is lost, and for those before it."""
    command(
        "rebuild",
        "Make a lost spool.db again from the ledger's files; the service is stopped.",
        _rebuild,
    )
    backup = command(
        "backup", "Copy all that is needed to go on elsewhere, while the service runs.", _backup
    )
    backup.add_argument(
        "place", type=Path, metavar="PATH", help="a folder on another disk; it gets a new one in it"
    )
    restore = command(
        "restore",
        "Make a box again in an empty state_dir, from a backup or its archive; the service is stopped.",
        _restore,
    )
    restore.add_argument(
        "--from",
        dest="place",
        type=Path,
        required=True,
        metavar="PATH",
        help="a backup (scanseal-...), or the root of a folder archive",
    )
    restore.add_argument(
        "--box", default="", metavar="ID", help="whose, where several boxes share the archive"
    )
    restore.add_argument(
        "--certificate",
        action="append",
        default=[],
        type=Path,
        metavar="PEM",
        help="trust these for the ledger's seals, besides [hsm] chain; may be repeated",
    )


def _of_targets(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands about what targets hold."""
    waive = command(
        "waive", "Do without one target for one document; it never counts as a proof.", _waive
    )
    waive.add_argument("id", metavar="ID", help=ID_HELP)
    waive.add_argument("--target", required=True, metavar="NAME", help="as in the configuration")
    waive.add_argument(
        "--reason",
        required=True,
        metavar="TEXT",
        help="why; goes into the ledger (1 to 1000 letters)",
    )
    prove = command("prove", "Ask each target again, now, what it holds of a document.", _prove)
    prove.add_argument("id", metavar="ID", help=ID_HELP)
    prove.add_argument("--json", action="store_true", help="everything as JSON")
    selftest = command(
        "selftest",
        "Try a target with a test document: put it, find it, read it back, take it away.",
        _selftest,
    )
    selftest.add_argument("--target", required=True, metavar="NAME", help="as in the configuration")


def _groups(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands that have commands of their own."""

    def group(name: str, about: str) -> Callable[..., argparse.ArgumentParser]:
        under = commands.add_parser(name, help=about, description=about)
        inner = under.add_subparsers(title="commands", required=True, metavar="COMMAND")

        def command(
            name: str, text: str, run: Callable[[argparse.Namespace], int]
        ) -> argparse.ArgumentParser:
            made: argparse.ArgumentParser = inner.add_parser(
                name, help=text, description=text, parents=[common]
            )
            made.set_defaults(run=run)
            return made

        return command

    text = "Take the box out of service: export the ledger, wipe the spool."
    end = commands.add_parser("decommission", help=text, description=text, parents=[common])
    end.add_argument(
        "export", type=Path, metavar="FOLDER", help="where the ledger goes; empty, on another disk"
    )
    end.add_argument(
        "--destroy-key",
        default="",
        metavar="LABEL",
        help="destroy that key in the token, too; the token's serial number has to be typed",
    )
    end.set_defaults(run=_decommission)
    shift = commands.add_parser(
        "shift",
        help="Log in as who scans into a hot folder from now on.",
        description="Log in as who scans into a hot folder from now on: every scan that comes "
        "from then on names this person in its transfer note.",
        parents=[common],
    )
    shift.add_argument("hotfolder", metavar="HOTFOLDER", help="the hot folder's name")
    who = shift.add_mutually_exclusive_group(required=True)
    who.add_argument("operator", nargs="?", metavar="NAME", help=OPERATOR_HELP)
    who.add_argument("--end", action="store_true", help="nobody scans there any more")
    shift.set_defaults(run=_shift)
    operator = commands.add_parser(
        "operator",
        help="Say who scanned a document that waits for it.",
        description="Say who scanned a document that waits for it, or was refused for it.",
        parents=[common],
    )
    operator.add_argument("operator", metavar="NAME", help=OPERATOR_HELP)
    which = operator.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help=ID_HELP)
    which.add_argument("--waiting", metavar="HOTFOLDER", help="all that wait for it there")
    operator.set_defaults(run=_operator)
    ledger = group("ledger", "The custody ledger.")
    text = (
        "Follow the chain through the ledger's files and compare it with the database; with PATH, "
        "check exported segments, their seals and what anchors them, without a configuration."
    )
    made = ledger("verify", text, _ledger_verify)
    _add_exported(made)
    made.set_defaults(wrong_usage=made.error)
    token = group("hsm", "The token.")
    token("retry-login", "Allow one more try of the PIN after a rejection.", _retry_login)
    text = (
        "Show every token of the PKCS#11 module, what is on it, and what the configuration means."
    )
    listed = token("list", text, _hsm_list)
    listed.add_argument("--json", action="store_true", help="everything as JSON")
    listed.add_argument(
        "--module", default="", metavar="PATH", help="of this module; then no configuration needed"
    )
    text = "Print a certificate request for the configured key, or for another one of its token."
    request = token("csr", text, _hsm_csr)
    request.add_argument(
        "--subject", required=True, metavar="NAME", help="like CN=Siegel,O=Stadt Musterstadt,C=DE"
    )
    request.add_argument("--key", default="", metavar="LABEL", help="another key's label")
    text = "Write a certificate that a CA sent beside its key on the token."
    imported = token("import-cert", text, _hsm_import_cert)
    imported.add_argument("file", type=Path, metavar="FILE", help="PEM or DER")
    imported.add_argument("--key", default="", metavar="LABEL", help="another key's label")
    text = "Read [hsm] key, certificate and chain anew and seal with them, without a stop."
    token("reload", text, _hsm_reload)
    clock = group("clock", "The clock.")
    text = "Say that the time of this box is right now, after it has jumped: sealing goes on."
    clock("accept", text, _clock_accept)


def _add_exported(made: argparse.ArgumentParser) -> None:
    """Add what only the check of exported segments needs."""
    made.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="exported segments, or a folder of them"
    )
    made.add_argument(
        "--certificate",
        action="append",
        default=[],
        type=Path,
        metavar="PEM",
        help="the seal's certificate, or its authority's; may be repeated",
    )
    made.add_argument(
        "--head",
        action="append",
        default=[],
        type=_head,
        metavar="SEQ:HASH",
        help="a head that MQTT has published; may be repeated",
    )
    made.add_argument(
        "--note",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a delivered sealed PDF, note.xml or manifest.json; may be repeated",
    )
    made.add_argument("--language", choices=LANGUAGES, help="of the report")


def _run(options: argparse.Namespace) -> int:
    from daemon import log  # noqa: PLC0415 (the service's imports are not the other commands')
    from daemon.service import Service  # noqa: PLC0415

    loaded = config.load(options.config)
    log.to_journal()
    environment = dict(os.environ)
    # Not only this process's view: what is started from here inherits nothing of it.
    os.environ.clear()
    os.umask(0o077)
    return asyncio.run(Service(loaded, environment).run())


def _check(options: argparse.Namespace) -> int:
    from daemon.checkup import checkup  # noqa: PLC0415

    loaded = config.load(options.config)
    findings = checkup(loaded, os.environ.get("CREDENTIALS_DIRECTORY"))
    for finding in findings:
        mark = _word(
            loaded,
            "check_bad" if not finding.good else "check_warn" if finding.warns else "check_ok",
        )
        print(f"  {mark} {finding.what}: {finding.said(loaded.box.language)}")
    good = all(finding.good for finding in findings)
    warned = any(finding.warns for finding in findings)
    print(_word(loaded, "check_wrong" if not good else "check_warned" if warned else "check_good"))
    return GOOD if good else BAD_CONFIG


def _status(options: argparse.Namespace) -> int:
    from daemon.summary import render  # noqa: PLC0415

    loaded = config.load(options.config)
    snapshot = _ask(options, "status", {}, loaded)
    if options.json:
        print(json.dumps(snapshot, indent=2, ensure_ascii=False))
    else:
        print(render(snapshot, loaded.box.language, loaded.box.timezone), end="")
    return GOOD if snapshot["all_well"] else WRONG


def _verify_all(options: argparse.Namespace) -> int:
    from daemon import certificate, stored, verify  # noqa: PLC0415
    from daemon.document import folder_of  # noqa: PLC0415
    from daemon.records.reader import open_reader  # noqa: PLC0415
    from daemon.sandbox import Sandbox  # noqa: PLC0415
    from daemon.workers import Worker  # noqa: PLC0415

    loaded = config.load(options.config)
    stored.give_way()
    trust = certificate.load_pem(Path(loaded.hsm.chain)) if options.deep else []
    stamps = _stamp_authorities(loaded) if options.deep else []

    async def look(progress: Progress) -> tuple[int, int]:
        walls = Sandbox(read=(str(loaded.documents.absolute()),))
        worker = Worker("daemon.verify", place=Path("/"), limits=verify.LIMITS, sandbox=walls)
        reader = open_reader(loaded.state_dir / "spool.db")
        seen = bad = 0
        try:
            for document, fault in stored.through(reader, loaded.documents):
                seen += 1
                said = f"stored-damaged {fault}" if fault else ""
                if options.deep and not fault:
                    sealed = folder_of(loaded.documents, document.id) / "sealed.pdf"
                    report = await verify.verify(sealed, worker, trust, stamps)
                    said = "" if report.good else "seal-not-good"
                    if said and not stored.kept(reader.document(document.id)):
                        said = ""  # forgotten while it was looked at
                if said:
                    bad += 1
                    progress.clear()
                    print(f"{document.id} {said}", flush=True)
                progress("documents", seen)
        finally:
            reader.close()
            await worker.stop()
        return seen, bad

    with _progress(loaded) as progress:
        seen, bad = asyncio.run(look(progress))
    if bad:
        print(_word(loaded, "stored_bad", n=str(seen), bad=str(bad)))
        return WRONG
    print(_word(loaded, "stored_good", n=str(seen)))
    return GOOD


def _rebuild(options: argparse.Namespace) -> int:
    from daemon.document import Role  # noqa: PLC0415
    from daemon.lock import alone  # noqa: PLC0415
    from daemon.rebuild import rebuild  # noqa: PLC0415

    loaded = config.load(options.config)
    archives = [section.name for section in loaded.targets if section.role == Role.ARCHIVE]
    if not loaded.state_dir.is_dir():
        raise CorruptionError("ledger-missing", f"{loaded.state_dir} is not there")
    os.umask(0o077)
    with alone(loaded.state_dir), _progress(loaded) as progress:
        made = rebuild(loaded.state_dir, archives, partial(progress, "lines"))
    print(
        _word(
            loaded,
            "rebuilt",
            lines=str(made.lines),
            documents=str(made.documents),
            in_doubt=str(made.in_doubt),
        )
    )
    for key, ids in (("rebuilt_unclaimed", made.unclaimed), ("rebuilt_missing", made.missing)):
        if ids:
            print(_word(loaded, key, n=str(len(ids))))
            print("".join(f"  {one}\n" for one in ids), end="")
    return WRONG if made.missing else GOOD


def _backup(options: argparse.Namespace) -> int:
    from daemon.backup import backup  # noqa: PLC0415
    from daemon.formats import Formats  # noqa: PLC0415

    loaded = config.load(options.config)
    os.umask(0o077)
    now = datetime.now(UTC)
    formats = Formats(loaded.box.language, loaded.box.timezone, now)
    if not (loaded.state_dir / "spool.db").is_file():
        raise CorruptionError("database-missing", f"{loaded.state_dir / 'spool.db'} is not there")
    with _progress(loaded) as progress:
        made = backup(loaded.state_dir, options.place, progress, now)
    if os.stat(made.folder).st_dev == os.stat(loaded.state_dir).st_dev:  # noqa: PTH116
        print(_word(loaded, "backup_same_disk", path=str(options.place)), file=sys.stderr)
    print(
        _word(
            loaded,
            "backed_up",
            seq=str(made.head.seq),
            documents=formats.number(made.documents),
            size=formats.size(made.new_bytes),
            path=str(made.folder),
        )
    )
    if made.doubtful:
        print(_word(loaded, "backup_doubtful", n=str(len(made.doubtful))))
        print("".join(f"  {one}\n" for one in made.doubtful), end="")
    return WRONG if made.doubtful else GOOD


def _restore(options: argparse.Namespace) -> int:
    from daemon import audit, certificate, restore  # noqa: PLC0415
    from daemon.document import Role  # noqa: PLC0415
    from daemon.formats import Formats  # noqa: PLC0415
    from daemon.lock import alone  # noqa: PLC0415
    from daemon.sandbox import Sandbox  # noqa: PLC0415
    from daemon.workers import Worker  # noqa: PLC0415

    loaded = config.load(options.config)
    os.umask(0o077)
    now = datetime.now(UTC)
    formats = Formats(loaded.box.language, loaded.box.timezone, now)
    found = restore.sources(loaded, options.place.absolute())
    pems = [Path(loaded.hsm.chain), *options.certificate]
    trusted = [one for path in pems for one in certificate.load_pem(path)]
    names = [section.name for section in loaded.targets if section.role == Role.ARCHIVE]
    places = tuple(str(path.absolute()) for path in found.archives)

    async def make() -> restore.Restored:
        examiner = Worker(
            "daemon.examine", place=Path("/"), limits=audit.LIMITS, sandbox=Sandbox(read=places)
        )
        try:
            with _progress(loaded) as progress:
                return await restore.restore(
                    loaded.state_dir, found, options.box, trusted, names, examiner, progress, now
                )
        finally:
            await examiner.stop()

    with alone(loaded.state_dir):
        made = asyncio.run(make())
    print(
        _word(
            loaded,
            "restored",
            lines=str(made.head.seq),
            until=formats.moment(made.until or now),
            documents=formats.number(made.documents),
            in_doubt=formats.number(made.in_doubt),
        )
    )
    lists = (
        ("restored_strangers", made.strangers),
        ("restored_lost", made.lost),
        ("restored_sealed_after", made.sealed_after),
        ("restored_missing", made.missing),
        ("restored_damaged", made.damaged),
    )
    for key, ones in lists:
        if ones:
            print(_word(loaded, key, n=str(len(ones))))
            print("".join(f"  {one}\n" for one in ones), end="")
    return WRONG if any(ones for _, ones in lists) else GOOD


def _note(options: argparse.Namespace) -> int:
    from daemon import notewords, reading  # noqa: PLC0415
    from daemon.document import utc_time  # noqa: PLC0415
    from daemon.formats import Formats  # noqa: PLC0415

    loaded = config.load(options.config)
    xml = _ask(options, "note", {"id": options.id}, loaded)["xml"]
    if options.xml:
        print(xml, end="")
        return GOOD
    language = options.language or loaded.box.language
    formats = Formats(language, loaded.box.timezone, datetime.now(UTC))

    def moment(text: str) -> str:
        return formats.moment(utc_time(text), seconds=True)

    print(
        reading.note(notewords.headed(notewords.from_xml(xml.encode()), language, moment)), end=""
    )
    return GOOD


def _verify(options: argparse.Namespace) -> int:
    if options.all:
        if options.files or options.trust or options.format != "text" or options.language:
            options.misused("--all takes no FILE, --trust, --format or --language")
        return _verify_all(options)
    if options.deep or not options.files:
        options.misused("name a FILE, or --all")
    return _verify_files(options)


def _stamp_authorities(loaded: config.Config) -> list[bytes]:
    """Return the certificates that the box's own time stamps lead to."""
    from daemon import certificate  # noqa: PLC0415

    path = loaded.seal.timestamp_chain
    return certificate.load_pem(Path(path)) if path else []


def _verify_files(options: argparse.Namespace) -> int:
    from daemon import certificate, reading, report, verify  # noqa: PLC0415
    from daemon.document import printable, utc_text  # noqa: PLC0415
    from daemon.sandbox import Sandbox  # noqa: PLC0415
    from daemon.workers import Worker  # noqa: PLC0415

    language, stamps = options.language or "en", []
    if options.trust is None:
        loaded = config.load(options.config)
        trust = certificate.load_pem(Path(loaded.hsm.chain))
        stamps = _stamp_authorities(loaded)
        language = options.language or loaded.box.language
    else:
        trust = [one for path in options.trust for one in certificate.load_pem(path)]

    # Not Path.is_file: that raises where a folder on the way may not be entered.
    there = tuple(str(f.absolute()) for f in options.files if os.path.isfile(f))  # noqa: PTH113

    async def look() -> list[report.Report]:
        worker = Worker(
            "daemon.verify",
            place=Path("/"),
            limits=verify.LIMITS,
            sandbox=Sandbox(read=there),
        )
        try:
            return [await verify.verify(file, worker, trust, stamps) for file in options.files]
        finally:
            await worker.stop()

    found = asyncio.run(look())
    names = [printable(os.fsencode(file)) for file in options.files]
    if options.format == "json":
        files = [report.as_json(*pair) for pair in zip(found, names, strict=True)]
        print(json.dumps({"v": 1, "files": files}, indent=2, ensure_ascii=False))
    elif options.format == "html":
        papers = [
            reading.paper(one, language, name) for one, name in zip(found, names, strict=True)
        ]
        print(reading.page(papers, language, utc_text(datetime.now(UTC))), end="")
    else:
        for one, name in zip(found, names, strict=True):
            print(f"{name}:\n{reading.render(one, language)}")
    return GOOD if all(one.good for one in found) else WRONG


def _release(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    released = _ask(options, "release", {"id": options.id}, loaded)
    document = _word(loaded, "released_document")
    what = ", ".join(document if name == "document" else name for name in released)
    print(_word(loaded, "released", what=what))
    return GOOD


def _discard(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    given_up = _ask(options, "discard", {"id": options.id, "reason": options.reason}, loaded)
    print(_word(loaded, "discarded", id=given_up["id"]))
    return GOOD


def _waive(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    arguments = {"id": options.id, "target": options.target, "reason": options.reason}
    waived = _ask(options, "waive", arguments, loaded)
    print(_word(loaded, "waived", id=waived["id"], target=waived["target"]))
    return GOOD


def _selftest(options: argparse.Namespace) -> int:
    from daemon import selftest  # noqa: PLC0415
    from daemon.formats import Formats  # noqa: PLC0415

    loaded = config.load(options.config)
    known = {section.name: section for section in loaded.targets}
    if (section := known.get(options.target)) is None:
        raise PersonNeeded("target-unknown", f"{options.target}; there are: {', '.join(known)}")
    now = datetime.now(UTC)
    words = Formats(loaded.box.language, loaded.box.timezone, now)
    print(_word(loaded, "selftest_of", name=section.name, kind=section.kind))

    async def go() -> bool:
        good = True
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        async for step in selftest.steps(loaded, section, credentials, now):
            print(selftest.line(step, words), end="", flush=True)
            good = good and step.good
        return good

    good = asyncio.run(go())
    print(_word(loaded, "selftest_good" if good else "selftest_bad"))
    return GOOD if good else WRONG


def _prove(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    said = _ask(options, "prove", {"id": options.id}, loaded)
    if options.json:
        print(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        print(said["id"])
        for target in said["targets"]:
            print("\n".join(_proof_of(loaded, target)))
    states = {one["state"] for one in said["targets"]}
    return GOOD if "held" in states and states <= {"held", "waived"} else WRONG


def _proof_of(loaded: config.Config, target: dict[str, Any]) -> Iterator[str]:
    """Yield what a target has proven just now, in the box's language."""
    word = _word(loaded, f"proof_{target['state'].replace('-', '_')}")
    why = f" ({target['code']}{': ' if target['reason'] else ''}{target['reason']})"
    yield f"  {target['target']}: {word}{why if target['code'] else ''}"
    for part in target["parts"]:
        how = _word(loaded, f"grade_{part['grade']}")
        yield f"    {part['key'].partition('/')[2]}  {part['size']} bytes  sha256 {part['sha256']}"
        yield f"      {part['reference']}  {how}, {part['proved_at']}"
        for name, text in sorted(part.get("detail", {}).items()):
            yield f"      {name}: {text}"


def _decommission(options: argparse.Namespace) -> int:
    from daemon import decommission  # noqa: PLC0415
    from daemon.book import Book  # noqa: PLC0415
    from daemon.hsm import Hsm, hsm_worker  # noqa: PLC0415
    from daemon.lock import MARKER, alone  # noqa: PLC0415
    from daemon.service import hsm_settings, now  # noqa: PLC0415
    from daemon.spool import open_spool  # noqa: PLC0415

    loaded = config.load(options.config)
    os.umask(0o077)
    label, person = options.destroy_key, f"uid {os.getuid()}"
    marker = loaded.state_dir / MARKER  # goes after the ledger
    if not marker.exists() and not (loaded.state_dir / "ledger").is_dir():
        raise PersonNeeded("decommission-nothing", str(loaded.state_dir))

    async def leave() -> Head:
        spool = await open_spool(loaded.state_dir)
        try:
            head = await decommission.take_out(loaded, spool, options.export, person, now())
            if label:
                serial = _typed(_word(loaded, "type_serial", token=loaded.hsm.token, label=label))
                pin = loaded.pin_file(os.environ.get("CREDENTIALS_DIRECTORY"))
                worker = hsm_worker(loaded.state_dir / "work", dict(os.environ))
                hsm = Hsm(worker, hsm_settings(loaded, pin))
                try:
                    await decommission.destroy_key(
                        *(hsm, Book(spool), spool, label, serial, person, now)
                    )
                finally:
                    await hsm.close()
                    head = await decommission.exported(loaded, spool, options.export)
        finally:
            await spool.close()
        return head

    if label and not sys.stdin.isatty():
        raise PersonNeeded("no-terminal", f"--destroy-key {label}")
    with alone(loaded.state_dir, wiping=True):
        if not marker.exists():
            head = asyncio.run(leave())
            print(_word(loaded, "ledger_exported", n=str(head.seq), hash=head.hash))
            if label:
                print(_word(loaded, "key_destroyed", label=label))
            decommission.mark(loaded.state_dir)
        elif label:
            raise PersonNeeded("decommission-begun", f"--destroy-key {label}")
        decommission.wipe(loaded.state_dir)
    print(_word(loaded, "spool_wiped", path=str(loaded.state_dir)))
    return GOOD


def _typed(question: str) -> str:
    """Ask on the terminal."""
    print(question, end=" ", flush=True)
    return sys.stdin.readline().strip()


def _explain_missing(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    asked = {key: getattr(options, key) for key in ("hotfolder", "number", "reason")}
    if options.subfolder is not None:
        asked["subfolder"] = options.subfolder
    done = _ask(options, "explain", asked, loaded)
    print(_word(loaded, "explained", n=str(done["closed"])))
    return GOOD


def _supersede(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    done = _ask(options, "supersede", {"old": options.old, "new": options.new}, loaded)
    print(_word(loaded, "superseded", **done))
    return GOOD


def _arrived(options: argparse.Namespace) -> int:
    from daemon.summary import arrived  # noqa: PLC0415

    loaded = config.load(options.config)
    asked = {key: getattr(options, key) for key in ("name", "since", "batch", "last")}
    answer = _ask(options, "arrived", {key: asked[key] for key in asked if asked[key]}, loaded)
    if options.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print(arrived(answer, loaded.box.language, loaded.box.timezone), end="")
    found = answer["scans"] or answer["waiting"]
    return WRONG if (options.name or options.batch) and not found else GOOD


def _sealed_since(options: argparse.Namespace) -> int:
    from daemon.summary import sealed_since  # noqa: PLC0415

    loaded = config.load(options.config)
    asked: dict[str, Any] = {"since": options.time}
    found: list[dict[str, Any]] = []
    while page := _ask(options, "sealed-since", asked, loaded):
        found += page
        asked["after"] = [page[-1]["sealed_at"], page[-1]["id"]]
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(sealed_since(found, loaded.box.language, loaded.box.timezone), end="")
    return GOOD


def _retry_login(options: argparse.Namespace) -> int:
    state = _ask(options, "hsm-retry-login", {})
    print(f"the token is {state['state']} {state['code']}".rstrip())
    return GOOD if state["state"] == "ready" else WRONG


def _hsm_list(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime  # noqa: PLC0415

    from daemon.formats import Formats  # noqa: PLC0415
    from daemon.inventory import look  # noqa: PLC0415
    from daemon.tokenlist import Meant, as_json, render  # noqa: PLC0415

    loaded = None if options.module else config.load(options.config)
    module, meant, seconds = options.module, None, MODULE_SECONDS
    language, timezone = "en", "UTC"
    if loaded is not None:
        module, seconds = loaded.hsm.module, loaded.hsm.timeout_seconds
        meant = Meant(loaded.hsm.token, loaded.hsm.key)
        language, timezone = loaded.box.language, loaded.box.timezone
    tokens = as_json(asyncio.run(look(module, dict(os.environ), seconds)), meant)
    if options.json:
        print(json.dumps({"module": module, "tokens": tokens}, indent=2, ensure_ascii=False))
    else:
        print(render(tokens, meant, Formats(language, timezone, datetime.now(UTC))), end="")
    found = tokens if meant is None else [one for one in tokens if one["configured"]]
    return GOOD if found else WRONG


def _hsm_csr(options: argparse.Namespace) -> int:
    asked = {"subject": options.subject, "key": options.key}
    print(_ask(options, "hsm-csr", asked)["pem"], end="")
    return GOOD


def _hsm_import_cert(options: argparse.Namespace) -> int:
    from daemon.newcertificate import MOST_BYTES  # noqa: PLC0415

    loaded = config.load(options.config)
    try:
        with options.file.open("rb") as file:
            data = file.read(MOST_BYTES)
    except OSError as exc:
        raise PersonNeeded("certificate-unreadable", f"{options.file}: {exc.strerror}") from exc
    asked = {"file": data.hex(), "key": options.key}
    done = _ask(options, "hsm-import-cert", asked, loaded)
    word = "imported_in_use" if done["in_use"] else "imported_waits"
    print(_word(loaded, word, label=done["key"]))
    return GOOD


def _hsm_reload(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    done = _ask(options, "hsm-reload", {}, loaded)
    if not done["problems"]:
        said = {"": "reload_same", "chain": "reload_chain", "certificate": "reload_changed"}
        digest = done["certificate_sha256"]
        print(_word(loaded, said[done["changed"]], label=done["key"], digest=digest))
        return GOOD
    print(_word(loaded, "reload_refused"), file=sys.stderr)
    for problem in done["problems"]:
        refusal = PersonNeeded(problem["code"], problem["detail"])
        _explain(refusal, options)
    return WRONG


def _shift(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    asked = {"hotfolder": options.hotfolder, "operator": options.operator or ""}
    done = _ask(options, "shift", asked, loaded)
    print(_word(loaded, "shift_begins" if done["operator"] else "shift_ends", **done))
    return GOOD


def _operator(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    asked = {"operator": options.operator, "id": options.id, "hotfolder": options.waiting}
    done = _ask(options, "operator", {key: asked[key] for key in asked if asked[key]}, loaded)
    print(_word(loaded, "operator_named", n=str(done["documents"])))
    return GOOD


def _clock_accept(options: argparse.Namespace) -> int:
    from daemon.formats import Formats  # noqa: PLC0415

    loaded = config.load(options.config)
    accepted = _ask(options, "clock-accept", {}, loaded)
    now = utc_time(accepted["now"])
    shown = Formats(loaded.box.language, loaded.box.timezone, now).moment(now, seconds=True)
    print(_word(loaded, "clock_accepted", at=shown))
    if accepted["problem"]:
        print(CODES["clock-unsure"].text(loaded.box.language).sentence)
    return WRONG if accepted["problem"] else GOOD


def _head(text: str) -> Head:
    seq, _, hashed = text.partition(":")
    if not seq.isdecimal() or not seq.isascii() or not re.fullmatch("[0-9a-f]{64}", hashed):
        raise argparse.ArgumentTypeError(f"not SEQ:HASH with 64 hexadecimal digits: {text!r}")
    return Head(int(seq), hashed)


def _ledger_verify(options: argparse.Namespace) -> int:
    from daemon.agreement import agree  # noqa: PLC0415
    from daemon.records.journal import compare  # noqa: PLC0415

    if options.paths:
        return _ledger_audit(options)
    if options.certificate or options.head or options.note:
        options.wrong_usage("--certificate, --head and --note go with exported segments (PATH)")
    loaded = config.load(options.config)
    with _progress(loaded) as progress:
        head = compare(loaded.state_dir, partial(progress, "lines"))
        if (loaded.state_dir / "spool.db").exists():
            agree(loaded.state_dir, progress)
    print(_word(loaded, "ledger_whole", n=str(head.seq), hash=head.hash))
    if not (loaded.state_dir / "spool.db").exists():
        print(_word(loaded, "ledger_files_only"))
    return GOOD


def _ledger_audit(options: argparse.Namespace) -> int:
    from daemon import audit, auditreport, certificate, verify  # noqa: PLC0415
    from daemon.sandbox import Sandbox  # noqa: PLC0415
    from daemon.workers import Worker  # noqa: PLC0415

    if not options.certificate:
        options.wrong_usage("exported segments are checked against --certificate")
    trusted = [one for path in options.certificate for one in certificate.load_pem(path)]
    notes = tuple(str(file.absolute()) for file in options.note if os.path.isfile(file))  # noqa: PTH113
    places = {
        str(path.absolute() if path.is_dir() else path.absolute().parent) for path in options.paths
    }

    async def look() -> audit.Audit:
        examiner = Worker(
            "daemon.examine",
            place=Path("/"),
            limits=audit.LIMITS,
            sandbox=Sandbox(read=(*sorted(places), *notes)),
        )
        verifier = Worker(
            "daemon.verify", place=Path("/"), limits=verify.LIMITS, sandbox=Sandbox(read=notes)
        )
        try:
            return await audit.audit(
                options.paths,
                trusted,
                options.head,
                options.note,
                examiner=examiner,
                verifier=verifier,
            )
        finally:
            await examiner.stop()
            await verifier.stop()

    found = asyncio.run(look())
    print(auditreport.render(found, options.language or "en"), end="")
    return DAMAGED if found.damaged else WRONG if found.findings else GOOD


def _ask(
    options: argparse.Namespace,
    command: str,
    arguments: dict[str, Any],
    loaded: config.Config | None = None,
) -> Any:
    from daemon.control import ask  # noqa: PLC0415

    loaded = loaded or config.load(options.config)
    return ask(loaded.socket, command, arguments)


def _word(loaded: config.Config, key: str, **values: str) -> str:
    """Return a word in the box's language."""
    return WORDS[key][LANGUAGES.index(loaded.box.language)].format(**values)


def _progress(loaded: config.Config) -> Progress:
    """Return the line that shows how far a long command is, in the box's language."""
    from daemon.formats import Formats  # noqa: PLC0415
    from daemon.progress import Progress  # noqa: PLC0415

    return Progress(Formats(loaded.box.language, loaded.box.timezone, datetime.now(UTC)))


def _explain(exc: DaemonError, options: argparse.Namespace) -> None:
    """Say what is wrong, and what to do about it, in the box's language where it is known."""
    print(f"{exc.code}: {exc.args[0]}", file=sys.stderr)
    if exc.code in CODES:
        try:
            language = config.load(options.config).box.language
        except (ConfigError, OSError):
            language = "en"
        text = CODES[exc.code].text(language)
        print(f"{text.sentence} {text.remedy}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
