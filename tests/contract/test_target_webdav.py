"""WebDAV as a target: the contract against wsgidav and mod_dav, and bad days with both of them."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from daemon.document import Digest
from daemon.errors import DaemonError, PermanentError, TargetDisagrees, TransientError
from daemon.targets import OWN_COPY_DAMAGED, Sending, split
from daemon.targets.webdav import WebdavTarget
from daemon.targetsections import WebdavSection
from tests.contract.davservers import USER, Apache, DavServer, Wsgidav
from tests.contract.targets import TargetContract, facts, put, sending
from tests.contract.test_http import Pki
from tests.contract.unruly import PASS, Asked, Trick, Unruly

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.targets import Target

T = TypeVar("T")
KINDS = {"wsgidav": Wsgidav, "mod_dav": Apache}


@pytest.fixture(scope="module", params=list(KINDS))
def server(request: pytest.FixtureRequest) -> Iterator[DavServer]:
    """Start one server for all tests: each has a key of its own."""
    with KINDS[request.param]() as server:
        yield server


@pytest.fixture(params=list(KINDS))
def own_server(request: pytest.FixtureRequest) -> Iterator[DavServer]:
    """Start a server that a test may kill."""
    with KINDS[request.param]() as server:
        yield server


@pytest.fixture
def apache() -> Iterator[Apache]:
    """Make an Apache that is not started yet."""
    server = Apache()
    yield server
    if server.folder.exists():
        with server:
            pass


def section(url: str, **more: Any) -> WebdavSection:
    """Return what a configuration has of a target at *url*."""
    more = {"connect_seconds": 5.0, "stall_seconds": 20.0, **more}
    return WebdavSection(name="there", kind="webdav", role="archive", url=url, **more)


class Anew:
    """The target of a process that was just started, each time it is asked: it remembers nothing.

    Its connections live on the loop of that one question.
    """

    def __init__(self, section: WebdavSection) -> None:
        self.section = section
        self.name = section.name

    async def _asked(self, work: Callable[[WebdavTarget], Coroutine[Any, Any, T]]) -> T:
        target = WebdavTarget(self.section, None, lambda: datetime.now(UTC))
        try:
            return await work(target)
        finally:
            await target.close()

    async def find(self, part: Sending) -> Receipt | None:
        return await self._asked(lambda target: target.find(part))

    async def put(self, part: Sending) -> Receipt:
        return await self._asked(lambda target: target.put(part))

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        return await self._asked(lambda target: target.put_all(parts))

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        return await self._asked(lambda target: target.prove(receipt, part))

    async def remove(self, receipt: Receipt, part: Sending) -> None:
        await self._asked(lambda target: target.remove(receipt, part))

    async def learn(self) -> bool:
        """Return whether it is create-once, once it has asked."""

        async def work(target: WebdavTarget) -> bool:
            await target._learn()
            return target.create_once

        return await self._asked(work)


def target_at(url: str, **more: Any) -> Any:
    return Anew(section(url, **more))


def failed(target: Any, part: Sending, what: str = "put") -> Any:
    """Put, or find, and return the error that comes of it."""
    with pytest.raises(DaemonError) as caught:
        asyncio.run(getattr(target, what)(part))
    return caught.value


def of(server: DavServer, key: str) -> set[str]:
    """Return the names of all files that the server has of a document."""
    return {one.partition("/")[2] for one in server.files() if one.startswith(split(key)[0])}


class TestWebdav(TargetContract):
    """Both servers keep the contract."""

    @pytest.fixture
    def target(self, server: DavServer) -> Target:
        target: Target = target_at(server.url)
        return target

    @pytest.fixture(autouse=True)
    def _root(self, server: DavServer) -> None:
        self.root = server.root

    def held(self, target: Target, key: str) -> bytes | None:  # noqa: ARG002
        path = self.root / key
        return path.read_bytes() if path.exists() else None

    def replace(self, target: Target, key: str, data: bytes) -> None:  # noqa: ARG002
        (self.root / key).write_bytes(data)

    def remove(self, target: Target, key: str) -> None:  # noqa: ARG002
        (self.root / key).unlink()

    def test_nothing_else_is_left_beside_it(
        self, target: Target, server: DavServer, key: str, sealed: Path
    ) -> None:
        """People look into these folders, and programs do."""
        put(target, key, sealed)

        assert of(server, key) == {"sealed.pdf"}
        assert not [name for name in server.files() if name.startswith(".scanseal")]

    def test_a_damaged_file_of_ours_leaves_nothing(
        self, target: Target, server: DavServer, key: str, sealed: Path
    ) -> None:
        """Not half of it either, beside its name."""
        part = replace(sending(key, sealed), digest=Digest.of(b"another"))

        assert failed(target, part).code == OWN_COPY_DAMAGED
        until(lambda: of(server, key) == set())


def test_a_test_document_is_taken_away_again_and_nothing_else(
    server: DavServer, key: str, sealed: Path
) -> None:
    """What `scanseal selftest` has put there; other bytes under its name stay."""
    target = target_at(server.url)
    part = sending(key, sealed)
    receipt = asyncio.run(target.put(part))
    asyncio.run(target.remove(receipt, part))
    assert of(server, key) == set()
    asyncio.run(target.remove(receipt, part))

    (server.root / key).write_bytes(b"another")
    with pytest.raises(TargetDisagrees):
        asyncio.run(target.remove(receipt, part))
    assert of(server, key) == {"sealed.pdf"}


def test_the_server_is_asked_once_what_it_makes_of_overwrite(server: DavServer) -> None:
    """Both refuse to overwrite; the two files of the question are gone again."""
    with Unruly(server.url) as proxy:
        target = WebdavTarget(section(proxy.url), None, lambda: datetime.now(UTC))

        async def work() -> None:
            assert not target.create_once  # nobody has asked yet
            await target._learn()
            await target._learn()
            await target.close()

        asyncio.run(work())
        assert target.create_once
        assert [one.method for one in proxy.seen] == ["PUT", "PUT", "MOVE", "DELETE", "DELETE"]
    assert server.files() == set() or not [n for n in server.files() if ".scanseal" in n]


def test_several_parts_need_one_collection(server: DavServer, key: str, sealed: Path) -> None:
    """A document has four parts or so: one MKCOL, and three requests for each."""
    files = ("sealed.pdf", "note.xml", "manifest.json")
    parts = [sending(f"{split(key)[0]}/{file}", sealed) for file in files]
    with Unruly(server.url) as proxy:
        asyncio.run(target_at(proxy.url).put_all(parts))
        methods = [one.method for one in proxy.seen][5:]

    assert methods == ["MKCOL", *["PUT", "MOVE", "GET"] * 3]


# -- connections -----------------------------------------------------------------------------


def rule(**tricks: Trick) -> Callable[[Asked], Trick]:
    """Return a rule that plays each trick once, on the first request of that method of a document."""
    left = dict(tricks)

    def play(asked: Asked) -> Trick:
        return PASS if "/.scanseal-" in asked.path else left.pop(asked.method, PASS)

    return play


def always(**tricks: Trick) -> Callable[[Asked], Trick]:
    """Return a rule that plays each trick on every request of that method of a document."""
    return lambda asked: PASS if "/.scanseal-" in asked.path else tricks.get(asked.method, PASS)


@pytest.mark.parametrize("count", [0, 1, 1000, 300_000, (1 << 20) + 12_353])
def test_a_put_that_is_cut_leaves_no_half_file_under_the_name(
    server: DavServer, key: str, sealed: Path, count: int
) -> None:
    """One of them, wsgidav, keeps what came so far, under the name of the PUT: that must not be ours."""
    part = sending(key, sealed)
    with Unruly(server.url, rule(PUT=Trick(cut_request=count))) as proxy:
        target = target_at(proxy.url)
        error = failed(target, part)

        assert (error.code, error.in_doubt) == ("target-unreachable", False)
        assert "sealed.pdf" not in of(server, key)
        assert asyncio.run(target.find(part)) is None
        assert of(server, key) == set()  # what was left is swept away
        put(target, key, sealed)
    assert of(server, key) == {"sealed.pdf"}
    assert (server.root / key).read_bytes() == sealed.read_bytes()


@pytest.mark.parametrize("method", ["MKCOL", "PUT", "MOVE", "GET"])
@pytest.mark.parametrize("count", [0, 5, 40])
def test_an_answer_that_is_lost_leaves_doubt_only_once_it_may_have_the_name(
    server: DavServer, key: str, sealed: Path, method: str, count: int
) -> None:
    """And whoever asks then is told: it is there, or it is not."""
    part = sending(key, sealed)
    with Unruly(server.url, rule(**{method: Trick(cut_answer=count)})) as proxy:
        target = target_at(proxy.url)
        error = failed(target, part)
        named = method in ("MOVE", "GET")

        assert (error.code, error.in_doubt) == ("target-unreachable", named)
        found = asyncio.run(target.find(part))
        assert (found is not None) == named
        assert asyncio.run(target.put(part)).digest == part.digest
        assert proxy.asked("MOVE") == sorted(
            set(proxy.asked("MOVE")), key=proxy.asked("MOVE").index
        )
    assert of(server, key) == {"sealed.pdf"}


def test_a_file_that_comes_back_in_part_proves_nothing_and_disproves_nothing(
    server: DavServer, key: str, sealed: Path
) -> None:
    """Neither a receipt nor a disagreement comes of half an answer."""
    put(target_at(server.url), key, sealed)
    with Unruly(server.url, rule(GET=Trick(cut_answer=500_000))) as proxy:
        error = failed(target_at(proxy.url), sending(key, sealed), "find")

    assert error.code == "target-unreachable"


def test_a_move_that_comes_late_finds_nothing_to_move(
    server: DavServer, key: str, sealed: Path
) -> None:
    """Somewhere between us and the server it was kept back; then it was asked, and answered no."""
    part = sending(key, sealed)
    late = threading.Event()
    with Unruly(server.url, rule(MOVE=Trick(late=late))) as proxy:
        target = target_at(proxy.url)
        assert failed(target, part).in_doubt
        assert asyncio.run(target.find(part)) is None
        late.set()
        assert proxy.passed[0].wait(20)

        assert of(server, key) == set()
        put(target, key, sealed)
    assert of(server, key) == {"sealed.pdf"}


def test_a_put_that_comes_late_gets_no_name_that_counts(
    server: DavServer, key: str, sealed: Path
) -> None:
    """We gave it up and have delivered it again: what comes in then lies beside it, to be swept."""
    part = sending(key, sealed)
    late = threading.Event()
    with Unruly(server.url, rule(PUT=Trick(late=late))) as proxy:
        target = target_at(proxy.url)
        failed(target, part)
        receipt = asyncio.run(target.put(part))
        late.set()
        assert proxy.passed[0].wait(20)

        assert len(of(server, key)) == 2
        assert asyncio.run(target.prove(receipt, part)) is not None
        assert asyncio.run(target.find(part)) is not None
    assert of(server, key) == {"sealed.pdf"}


@pytest.mark.parametrize("method", ["MKCOL", "MOVE"])
def test_a_request_that_arrives_twice_does_no_harm(
    server: DavServer, key: str, sealed: Path, method: str
) -> None:
    """Proxies repeat what they have no answer to; we hear what became of the second one."""
    with Unruly(server.url, rule(**{method: Trick(times=2)})) as proxy:
        receipt = asyncio.run(target_at(proxy.url).put(sending(key, sealed)))

    assert (receipt.digest, receipt.size) == facts(sealed)
    assert of(server, key) == {"sealed.pdf"}


def test_a_put_that_arrives_twice_is_tried_again(server: DavServer, key: str, sealed: Path) -> None:
    """The second one is refused, for there is the first: nobody knows whether that one is whole."""
    with Unruly(server.url, rule(PUT=Trick(times=2))) as proxy:
        target = target_at(proxy.url)
        error = failed(target, sending(key, sealed))

        assert (error.code, error.in_doubt) == ("target-fails", False)
        put(target, key, sealed)
    assert of(server, key) == {"sealed.pdf"}


def test_two_that_put_the_same_at_once_leave_one_file(
    server: DavServer, key: str, sealed: Path
) -> None:
    """Whoever comes second finds it there; wsgidav may stumble over two at once and say 500."""
    part = sending(key, sealed)

    async def both() -> list[Receipt | BaseException]:
        puts = (target_at(server.url).put(part) for _ in range(2))
        return list(await asyncio.gather(*puts, return_exceptions=True))

    for one in asyncio.run(both()):
        assert isinstance(one, TransientError) or getattr(one, "digest", "") == part.digest
    assert asyncio.run(target_at(server.url).find(part)) is not None
    assert of(server, key) == {"sealed.pdf"}


@pytest.mark.parametrize("method", ["PUT", "MOVE", "GET"])
def test_a_server_that_falls_silent_is_given_up(
    server: DavServer, key: str, sealed: Path, method: str
) -> None:
    """A black hole: only the MOVE, and what is read after it, leaves doubt."""
    with Unruly(server.url, rule(**{method: Trick(times=0, silent=True)})) as proxy:
        target = target_at(proxy.url, connect_seconds=0.5, stall_seconds=1.0)
        error = failed(target, sending(key, sealed))

        assert (error.code, error.in_doubt) == ("target-unreachable", method != "PUT")
        found = asyncio.run(target.find(sending(key, sealed)))
        assert (found is not None) == (method == "GET")
        put(target, key, sealed)
    assert of(server, key) == {"sealed.pdf"}


def test_a_slow_server_that_goes_on_is_waited_for(
    server: DavServer, key: str, tmp_path: Path
) -> None:
    """A line of a thousand bytes a second stalls nobody: bytes keep coming."""
    note = tmp_path / "note.xml"
    note.write_bytes(b"<note/>" * 400)
    slow = always(GET=Trick(bytes_per_second=1000))
    with Unruly(server.url, slow) as proxy:
        target = target_at(proxy.url, connect_seconds=0.5, stall_seconds=1.0)
        begun = time.monotonic()
        put(target, key, note)

        assert time.monotonic() - begun > target.section.connect_seconds + 1.0


# -- servers that end ------------------------------------------------------------------------


def test_a_server_that_is_killed_in_the_middle_of_a_put_has_it_after_all(
    own_server: DavServer, key: str, sealed: Path
) -> None:
    """What it had of it lies beside the name, if anywhere; refused connections are no doubt."""
    server = own_server
    document = server.root / split(key)[0]

    def kill() -> None:
        until(lambda: any(one.stat().st_size for one in document.iterdir()))
        server.kill()

    part = sending(key, sealed)
    with Unruly(server.url, rule(PUT=Trick(cut_request=300_000, then=kill))) as proxy:
        target = target_at(proxy.url)
        assert not failed(target, part).in_doubt
        error = failed(target_at(server.url), part, "find")
        assert (error.code, error.in_doubt) == ("target-unreachable", False)
        assert not failed(target_at(server.url), part).in_doubt

        assert "sealed.pdf" not in of(server, key)
        server.start()
        assert asyncio.run(target.find(part)) is None
        put(target, key, sealed)
    assert (server.root / key).read_bytes() == sealed.read_bytes()
    ours = {name for name in of(server, key) if not name.startswith(".davfs.tmp")}
    assert ours == {"sealed.pdf"}


def test_a_server_that_is_restarted_is_used_again(
    own_server: DavServer, key: str, sealed: Path
) -> None:
    """The connection that was kept is dead: at most one try is lost, and none is in doubt."""
    lost: list[TransientError] = []

    async def work() -> None:
        target = WebdavTarget(section(own_server.url), None, lambda: datetime.now(UTC))
        await target.put(sending(key, sealed))
        own_server.restart()
        other = sending(f"{split(key)[0]}/note.xml", sealed)
        try:
            await target.put(other)
        except TransientError as exc:
            lost.append(exc)
            await target.put(other)
        assert await target.find(other) is not None
        await target.close()

    asyncio.run(work())
    assert not [one for one in lost if one.code != "target-unreachable" or one.in_doubt]
    assert of(own_server, key) == {"sealed.pdf", "note.xml"}


@pytest.fixture(params=list(KINDS))
def small(request: pytest.FixtureRequest) -> Iterator[DavServer]:
    """Start a server that has room for 1 MiB. The tests run as root."""
    server = KINDS[request.param]()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", server.root], check=True)
    with server:
        try:
            yield server
        finally:
            server.kill()
            subprocess.run(["umount", server.root], check=True)


def test_a_full_disk_is_tried_again_later_and_keeps_no_half_file(
    small: DavServer, key: str, sealed: Path
) -> None:
    """mod_dav says 507, wsgidav 500: neither has stored it under its name."""
    target = target_at(small.url)
    error = failed(target, sending(key, sealed))

    full = isinstance(small, Apache)
    assert (error.code, error.in_doubt) == ("target-full" if full else "target-fails", False)
    until(lambda: of(small, key) == set())
    subprocess.run(["mount", "-o", "remount,size=4m", small.root], check=True)
    put(target, key, sealed)
    assert of(small, key) == {"sealed.pdf"}


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until *happened*, or fail."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- what the server says --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status", "code", "kind", "doubt"),
    [
        ("MKCOL", 409, "target-folder-missing", TransientError, False),
        ("MKCOL", 400, "target-not-webdav", TransientError, False),
        ("MKCOL", 415, "target-not-webdav", TransientError, False),
        ("MKCOL", 200, "target-fails", TransientError, False),
        ("MKCOL", 423, "target-locked", TransientError, False),
        ("MKCOL", 501, "target-not-webdav", TransientError, False),
        ("PUT", 207, "target-fails", TransientError, False),
        ("MOVE", 207, "target-fails", TransientError, True),
        ("PUT", 400, "target-refuses", PermanentError, None),
        ("PUT", 401, "target-login-refused", TransientError, False),
        ("PUT", 404, "target-folder-missing", TransientError, False),
        ("PUT", 405, "target-not-webdav", TransientError, False),
        ("PUT", 409, "target-folder-missing", TransientError, False),
        ("PUT", 412, "target-fails", TransientError, False),
        ("PUT", 413, "target-refuses", PermanentError, None),
        ("PUT", 422, "target-refuses", PermanentError, None),
        ("PUT", 423, "target-locked", TransientError, False),
        ("PUT", 429, "target-busy", TransientError, False),
        ("PUT", 500, "target-fails", TransientError, False),
        ("PUT", 503, "target-busy", TransientError, False),
        ("PUT", 507, "target-full", TransientError, False),
        ("MOVE", 401, "target-login-refused", TransientError, False),
        ("MOVE", 403, "target-login-refused", TransientError, False),
        ("MOVE", 404, "target-fails", TransientError, False),
        ("MOVE", 405, "target-not-webdav", TransientError, False),
        ("MOVE", 409, "target-fails", TransientError, False),
        ("MOVE", 412, "target-fails", TransientError, False),
        ("MOVE", 423, "target-locked", TransientError, False),
        ("MOVE", 201, "target-fails", TransientError, True),
        ("MOVE", 500, "target-fails", TransientError, True),
        ("MOVE", 502, "target-fails", TransientError, True),
        ("MOVE", 507, "target-full", TransientError, False),
        ("GET", 423, "target-locked", TransientError, True),
        ("GET", 500, "target-fails", TransientError, True),
    ],
)
def test_each_status_has_its_rule(
    server: DavServer,
    key: str,
    sealed: Path,
    method: str,
    status: int,
    code: str,
    kind: type[Exception],
    doubt: bool | None,
) -> None:
    """It was not stored, and each time nothing is left of it; then it is."""
    part = sending(key, sealed)
    passed = int(method == "GET")
    trick = Trick(times=passed, status=status, body=b"no", headers={"Retry-After": "7"})
    with Unruly(server.url, rule(**{method: trick})) as proxy:
        target = target_at(proxy.url)
        error = failed(target, part)

        assert (error.code, type(error)) == (code, kind)
        if doubt is not None:
            assert error.in_doubt is doubt
        if (method, status) != ("MOVE", 201):  # it may come to be moved: only a find sweeps
            assert of(server, key) - {"sealed.pdf"} == set()
        assert (asyncio.run(target.find(part)) is not None) == (method == "GET")
        put(target, key, sealed)
    assert of(server, key) == {"sealed.pdf"}


@pytest.mark.parametrize("status", [400, 405, 415, 501])
@pytest.mark.parametrize("method", ["PUT", "MOVE"])
def test_a_server_that_cannot_do_it_gets_nothing_and_no_document_is_refused(
    server: DavServer, key: str, sealed: Path, method: str, status: int
) -> None:
    """It is found out with two files of a byte each, before the first document."""
    no = Trick(times=0, status=status)
    with Unruly(server.url, lambda asked: no if asked.method == method else PASS) as proxy:
        error = failed(target_at(proxy.url), sending(key, sealed))
        assert len(proxy.asked("MKCOL")) == 0

    assert (error.code, error.in_doubt) == ("target-not-webdav", False)
    assert of(server, key) == set()


def test_a_collection_that_is_away_is_not_taken_for_one_without_our_document(
    server: DavServer, key: str, sealed: Path
) -> None:
    """A share that is not mounted over there answers 404 to everything."""
    put(target_at(server.url), key, sealed)
    receipt = asyncio.run(target_at(server.url).find(sending(key, sealed)))
    assert receipt is not None
    away = target_at(server.url + "/away")
    part = sending(key, sealed)

    assert failed(away, part, "find").code == "target-folder-missing"
    assert failed(away, part).code == "target-folder-missing"
    with pytest.raises(TransientError, match="folder-missing"):
        asyncio.run(away.prove(receipt, part))
    assert not (server.root / "away").exists()


def test_a_disk_that_goes_away_over_there_is_noticed_by_whoever_asks(
    own_server: DavServer, key: str, sealed: Path
) -> None:
    """It was there when we began: a 404 is not believed for that."""
    other = sending(f"{split(key)[0]}/note.xml", sealed)
    away = own_server.folder / "away"

    async def work() -> None:
        target = WebdavTarget(section(own_server.url + "/scans"), None, lambda: datetime.now(UTC))
        await target.put(sending(key, sealed))
        assert await target.find(other) is None
        (own_server.root / "scans").rename(away)
        for part in (sending(key, sealed), other):
            with pytest.raises(TransientError) as caught:
                await target.find(part)
            assert caught.value.code == "target-folder-missing"
        await target.close()

    scans = own_server.root / "scans"
    scans.mkdir(0o777)
    scans.chmod(0o777)
    asyncio.run(work())


def test_what_lies_under_our_name_is_never_overwritten_where_overwrite_is_ignored(
    server: DavServer, key: str, sealed: Path, tmp_path: Path
) -> None:
    """Such a server is not create-once; what is there is looked at before."""
    ignores = always(MOVE=Trick(drop=("overwrite",)))
    with Unruly(server.url, lambda asked: replace(ignores(asked), drop=("overwrite",))) as proxy:
        target = target_at(proxy.url)
        assert not asyncio.run(target.learn())
        put(target, key, sealed)
        before = proxy.asked("PUT")
        put(target, key, sealed)
        other = tmp_path / "other.pdf"
        other.write_bytes(b"%PDF another")
        with pytest.raises(TargetDisagrees):
            put(target, key, other)

        probes = [path for path in proxy.asked("PUT") if ".scanseal" in path]
        assert len(proxy.asked("PUT")) - len(probes) == len(before) - len(probes[:-4])
    assert (server.root / key).read_bytes() == sealed.read_bytes()


def test_a_server_behind_a_proxy_that_ends_tls_is_told_the_path_alone(
    key: str, sealed: Path
) -> None:
    """It does not know the address that we know it by, and takes the whole one for another server."""

    def foreign(asked: Asked) -> Trick:
        whole = asked.headers.get("Destination", "/").startswith("http")
        return Trick(times=0, status=502) if whole else PASS

    with Wsgidav() as server, Unruly(server.url, foreign) as proxy:
        put(target_at(proxy.url), key, sealed)

        assert (server.root / key).read_bytes() == sealed.read_bytes()


def test_apache_behind_such_a_proxy_is_named_and_used_once_the_proxy_was_corrected(
    apache: Apache, key: str, sealed: Path
) -> None:
    """It takes no path alone; no document is refused, and no restart is needed."""
    corrected = False

    def ends_tls(asked: Asked) -> Trick:
        foreign = asked.method == "MOVE" and not corrected
        if foreign and asked.headers["Destination"].startswith("http"):
            return Trick(times=0, status=502)
        return PASS

    async def work(url: str) -> None:
        nonlocal corrected
        target = WebdavTarget(section(url), None, lambda: datetime.now(UTC))
        with pytest.raises(TransientError, match="said 502 to MOVE") as caught:
            await target.put(sending(key, sealed))
        assert caught.value.code == "target-not-webdav"
        corrected = True
        await target.put(sending(key, sealed))
        await target.close()

    with apache as server, Unruly(server.url, ends_tls) as proxy:
        asyncio.run(work(proxy.url))
        assert of(server, key) == {"sealed.pdf"}


LOCK = b"""<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype><D:owner>clerk</D:owner></D:lockinfo>"""


def test_a_lock_of_somebody_is_waited_for(server: DavServer, key: str, sealed: Path) -> None:
    """A clerk's program holds the document's folder; when it lets go, the document goes there."""
    folder = f"/{split(key)[0]}"
    put(target_at(server.url), f"{folder[1:]}/note.xml", sealed)
    clerk = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    clerk.request("LOCK", folder, LOCK, {"Depth": "infinity", "Timeout": "Second-60"})
    answer = clerk.getresponse()
    answer.read()
    assert answer.status == 200
    error = failed(target_at(server.url), sending(key, sealed))

    assert (error.code, error.in_doubt) == ("target-locked", False)
    clerk.request("UNLOCK", folder, headers={"Lock-Token": answer.headers["Lock-Token"]})
    assert clerk.getresponse().read() is not None
    clerk.close()
    put(target_at(server.url), key, sealed)
    assert of(server, key) == {"sealed.pdf", "note.xml"}


def test_a_page_in_place_of_our_file_is_no_disagreement(
    server: DavServer, key: str, sealed: Path
) -> None:
    """A gateway asks for its login, with 200, for everything: no document is refused for that."""
    page = Trick(times=0, status=200, body=b"<html>", headers={"Content-Type": "text/html"})
    put(target_at(server.url), key, sealed)
    with Unruly(server.url, always(GET=page)) as proxy:
        error = failed(target_at(proxy.url), sending(key, sealed), "find")
    assert (error.code, error.in_doubt) == ("target-answer-unreadable", False)

    with Unruly(server.url, lambda _: page) as proxy:
        for what in ("put", "find"):
            assert isinstance(
                failed(target_at(proxy.url), sending(key, sealed), what), TransientError
            )


def test_wrong_bytes_that_a_server_stored_are_never_vouched_for(
    server: DavServer, key: str, sealed: Path
) -> None:
    """What comes back is hashed, not what was sent."""
    damage = bytearray(sealed.read_bytes())
    damage[5] ^= 1
    name = server.root / key
    with (
        Unruly(server.url, rule(MOVE=Trick(then=lambda: name.write_bytes(bytes(damage))))) as proxy,
        pytest.raises(TargetDisagrees),
    ):
        put(target_at(proxy.url), key, sealed)


# -- trust -------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed_by_a_file_or_a_login(
    server: DavServer, key: str, sealed: Path, tmp_path: Path
) -> None:
    """What is sealed goes where the configuration says, and nowhere else."""
    (tmp_path / "secret").write_text("hush\n")
    login = {"user": "box", "password": f"file:{tmp_path}/secret"}
    with Unruly(server.url) as elsewhere:
        for status in (301, 302, 307, 308):
            there = {"Location": elsewhere.url + "/x"}
            to = Trick(times=0, status=status, headers=there)
            for method in ("MKCOL", "PUT", "MOVE", "GET"):
                with Unruly(server.url, rule(**{method: to})) as proxy:
                    part = sending(f"{split(key)[0]}/{method}{status}.pdf", sealed)
                    assert failed(target_at(proxy.url, **login), part).code == "target-redirects"
        assert elsewhere.seen == []


def test_a_login_that_is_changed_in_the_middle_is_refused_until_we_have_it(
    apache: Apache, key: str, sealed: Path, tmp_path: Path
) -> None:
    """The password over there is changed after the PUT; then ours is, and it goes on by itself."""
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    apache.set_password("first")
    part = sending(key, sealed)
    with (
        apache as server,
        Unruly(server.url, rule(PUT=Trick(then=lambda: server.set_password("second")))) as proxy,
    ):
        target = target_at(proxy.url, user=USER, password=f"file:{secret}")
        error = failed(target, part)
        assert (error.code, error.in_doubt) == ("target-login-refused", False)
        assert "first" not in str(error)
        assert failed(target, part, "find").code == "target-login-refused"

        secret.write_text("second\n")
        assert asyncio.run(target.find(part)) is None
        put(target, key, sealed)
        assert of(server, key) == {"sealed.pdf"}


def test_a_server_with_a_certificate_of_an_own_ca_is_trusted_by_it_alone(
    apache: Apache, key: str, sealed: Path, tmp_path: Path
) -> None:
    """With our CA it works, without it not a byte is sent."""
    pki = Pki(tmp_path)
    apache.certificate = pki.issue("server")[:2]
    with apache as server:
        put(target_at(server.url, ca=str(pki.ca)), key, sealed)
        error = failed(target_at(server.url), sending(key, sealed))

        assert (error.code, error.in_doubt) == ("target-unreachable", False)
        assert "certificate" in str(error)
        assert of(server, key) == {"sealed.pdf"}


def test_a_certificate_that_has_expired_is_named(
    apache: Apache, key: str, sealed: Path, tmp_path: Path
) -> None:
    """The person at 3 a.m. has to read that word."""
    pki = Pki(tmp_path)
    apache.certificate = pki.issue("server", (-10, -1))[:2]
    with apache as server:
        error = failed(target_at(server.url, ca=str(pki.ca)), sending(key, sealed))

    assert (error.code, error.in_doubt) == ("target-unreachable", False)
    assert "expired" in str(error)
