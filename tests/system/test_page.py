"""The page in a real browser, and over plain HTTP for whoever has no JavaScript."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from daemon import transfernote, web
from daemon.codes import CODES
from daemon.document import DeliveryState, Kin, Part, State
from daemon.status import Snapshot
from daemon.web import PageContext
from daemon.web.guard import allowed_hosts
from daemon.words import LANGUAGES, WORDS
from tests.system.test_mqtt import free_port, wait_until
from tests.unit.pages_samples import NOTE
from tests.watched import LIVE, NOW, Watched, names_nobody

ALARM = CODES["crashed-here"]
"""Any code with a sentence and a remedy will do as one."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


class Site:
    """A box with its page, served from a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.hangs = False
        self.asked = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(folder)])
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self, folder: Path) -> None:
        self.box = Watched(folder)
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        context = PageContext(
            snapshot=self._snapshot,
            database=self.box.database,
            language="de",
            timezone="Europe/Berlin",
            listen=f"127.0.0.1:{self.port}",
        )
        stop = await web.start(context)
        self._ready.set()
        await self._end.wait()
        await stop()
        self.box.close()

    async def _snapshot(self) -> Snapshot:
        if self.hangs:
            self.asked.set()
            await asyncio.Event().wait()
        return await self.box.snapshot()

    def do(self, change: Callable[[Watched], Any]) -> Any:
        """Let something happen on the box, on the thread that its spool belongs to."""

        async def work() -> Any:
            return change(self.box)

        coroutine: Coroutine[Any, Any, Any] = work()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(20)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask over plain HTTP; a header's name is written with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        response = connection.getresponse()
        found = Answer(response.status, dict(response.getheaders()), response.read().decode())
        connection.close()
        return found

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Browser:
    """Debian's Chromium, headless, with a profile of its own."""

    def __init__(self, profile: Path, *, javascript: bool = True) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        if not javascript:
            off = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", off)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With the driver's path given selenium looks for none, and downloads none.
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    def _log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return found

    def main(self) -> str:
        """Return what a person reads."""
        return self.driver.find_element(By.ID, "main").text

    def count(self, state: str) -> str:
        """Return the number in the tile of a state; "" while another page is being loaded."""
        with contextlib.suppress(StaleElementReferenceException, NoSuchElementException):
            return self.driver.find_element(By.CSS_SELECTOR, f"[data-count={state}]").text
        return ""

    def renews_to(self, moment: datetime) -> None:
        """Wait until the page has renewed itself and says that it is of *moment*."""
        script = "return document.querySelector('#footer time').dateTime"
        wanted = moment.isoformat(timespec="milliseconds")
        wait_until(lambda: self.driver.execute_script(script) == wanted)

    def complaints(self) -> list[str]:
        """Return what the browser logged: violations of the policy, failed loads, errors."""
        return [entry["message"] for entry in self._log()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    started = Site(tmp_path / "state")
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.driver.quit()


def filled(box: Watched) -> None:
    """Put a document into every place, an alarm beside them, and trouble into the processes."""
    box.filed(NOW - timedelta(hours=2))
    box.deliver(box.frozen(NOW - timedelta(hours=1)), "dms")
    released = box.refused(at=NOW - timedelta(minutes=9))
    box.spool.release(released.id, "Sachbearbeiter", NOW)
    box.refused(at=NOW - timedelta(minutes=5))
    box.spool.set_aside(box.frozen(), "crashed-here", "twice in step freeze", NOW)
    box.alarms.raise_(ALARM.code, "dms", "<b>13</b> tries")


# -- in the browser ----------------------------------------------------------------


def test_the_page_shows_counts_and_an_alarm_with_its_remedy(site: Site, browser: Browser) -> None:
    """What a technician needs stands there: how many, what is wrong, and what to do."""
    site.do(filled)
    browser.driver.get(site.url("/?lang=en"))

    assert browser.driver.find_element(By.ID, "well").text == "1 alarm"
    assert "4 documents are not yet proven" in browser.driver.find_element(By.ID, "unplug").text
    alarm = browser.driver.find_element(By.CSS_SELECTOR, "#alarms article").text
    assert ALARM.en.sentence in alarm
    assert ALARM.en.remedy in alarm
    assert "<b>13</b> tries" in alarm  # as text
    counted = {state: browser.count(state) for state in ("claimed", "frozen", "refused", "filed")}
    assert counted == {"claimed": "1", "frozen": "1", "refused": "1", "filed": "1"}
    assert browser.count("held") == "1"
    assert "2 h 0 min ago (2026-11-22 11:00)" in browser.driver.find_element(By.ID, "targets").text


def test_the_page_becomes_new_by_itself(site: Site, browser: Browser) -> None:
    """Nobody reloads a page in a basement; an alarm has to appear while one looks."""
    browser.driver.get(site.url("/?lang=en"))
    assert browser.driver.find_element(By.ID, "well").text == "All is well"
    assert browser.count("claimed") == "0"

    site.do(lambda box: box.claimed())
    site.do(lambda box: box.alarms.raise_(ALARM.code))

    wait_until(lambda: "1 alarm" in browser.main())
    assert browser.count("claimed") == "1"
    assert browser.driver.title == "1 alarm · marktamt-01"

    site.do(lambda box: box.alarms.clear(ALARM.code))
    wait_until(lambda: "All is well" in browser.main())


def test_what_a_person_opened_stays_open(site: Site, browser: Browser) -> None:
    """To read something that folds itself up every three seconds is no fun."""
    site.do(lambda box: box.claimed())
    browser.driver.get(site.url("/?lang=en"))
    browser.driver.find_element(By.CSS_SELECTOR, "#why summary").click()

    site.do(lambda box: box.claimed())

    wait_until(lambda: "2 documents are not yet proven" in browser.main())
    assert browser.driver.find_element(By.ID, "why").get_attribute("open")


def test_a_service_that_no_longer_answers_is_told(site: Site, browser: Browser) -> None:
    """An old page that says `all is well` would be the worst of all lies."""
    browser.driver.get(site.url("/?lang=en"))
    stale = browser.driver.find_element(By.ID, "stale")
    assert not stale.is_displayed()

    site.close()

    wait_until(stale.is_displayed)
    assert "No answer from the service" in stale.text


def test_the_browser_has_nothing_to_complain_about(site: Site, browser: Browser) -> None:
    """No page breaks its own policy, and none asks for what is not there."""
    document = site.do(lambda box: box.filed())
    site.do(filled)
    browser.complaints()  # empties the log
    for path in ("/", "/documents", "/documents?state=filed", f"/documents/{document.id}"):
        browser.driver.get(site.url(path))
        site.do(lambda box: box.know(now=box.live.now + timedelta(seconds=61)))
        browser.renews_to(site.box.live.now)

    assert browser.complaints() == []


def test_the_policy_stops_foreign_code(site: Site, browser: Browser) -> None:
    """The test before this one can only be trusted if the policy is in force."""
    browser.driver.get(site.url("/"))
    browser.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.done = 1';"
        "document.head.append(s);"
    )

    assert browser.driver.execute_script("return window.done") is None
    assert any("Content Security Policy" in text for text in browser.complaints())


def test_one_can_go_from_an_alarm_to_the_document_and_its_ledger(
    site: Site, browser: Browser
) -> None:
    """From `something is refused` to why, by clicking, in German."""
    site.do(filled)
    browser.driver.get(site.url("/?lang=de"))
    browser.driver.find_element(By.PARTIAL_LINK_TEXT, "1 Dokument ansehen").click()
    browser.driver.find_element(By.CSS_SELECTOR, "td a.id").click()

    text = browser.main()
    assert CODES["crashed-here"].de.sentence in text
    assert CODES["crashed-here"].de.remedy in text
    assert re.search(r"scanseal release [0-9a-f-]{36}", text)
    assert "übernommen" in text
    assert "zurückgewiesen" in text


def test_without_javascript_the_same_facts_are_there_and_become_new(
    site: Site, tmp_path: Path
) -> None:
    """The server writes the page; the script only brings a newer one with less flicker."""
    site.do(filled)
    plain = Browser(tmp_path / "profile", javascript=False)
    try:
        plain.driver.get(site.url("/?lang=en"))

        assert plain.driver.find_element(By.ID, "well").text == "1 alarm"
        assert ALARM.en.remedy in plain.main()
        assert plain.count("refused") == "1"
        site.do(lambda box: box.claimed())
        wait_until(lambda: plain.count("claimed") == "2")
    finally:
        plain.driver.quit()


# -- over plain HTTP -----------------------------------------------------------------


def test_a_document_shows_its_deliveries_and_what_proves_them(site: Site) -> None:
    """Size and digest as the target gave them back: that is what a proof is here."""
    document = site.do(lambda box: box.filed())
    found = site.do(lambda box: box.spool.deliveries(document.id))

    html = site.ask(f"/documents/{document.id}?lang=en").text

    rows = re.findall(r'<tr class="proof">(.*?)</tr>', html)
    parts = [part for delivery in found for part in delivery.parts]
    for part, row in zip(parts, rows, strict=True):
        assert part.file in row
        assert str(part.digest) in row
    assert "filed in DMS and archive" in html


def test_a_document_that_stands_for_another_is_shown_on_both_pages(site: Site) -> None:
    """Whoever comes with either reference finds the scan that counts."""
    old = site.do(lambda box: box.refused())
    new = site.do(
        lambda box: box.claimed(
            NOW + timedelta(seconds=1), Kin(supersedes=(old.id,), how="copy-name")
        )
    )

    before, after = (site.ask(f"/documents/{one.id}?lang=en").text for one in (old, new))

    link = '<dt>{}</dt><dd><a class="id" href="/documents/{}?lang=en">'
    assert link.format("Replaced by", new.id) in before
    assert link.format("Replaces", old.id) in after
    assert "stands for a refused one" in after
    # What is done asks nobody to do it.
    assert CODES["crashed-here"].en.sentence in before
    assert CODES["crashed-here"].en.remedy not in before


def test_an_equal_name_is_suggested_until_somebody_decides(site: Site) -> None:
    """With the command that says so; the name itself stands nowhere."""
    old = site.do(lambda box: box.refused())
    new = site.do(lambda box: box.claimed(NOW + timedelta(seconds=1), Kin(resembles=old.id)))
    command = f"scanseal supersede {old.id} {new.id}"

    assert command in site.ask(f"/documents/{new.id}?lang=en").text
    assert f"scanseal supersede {old.id} ID" in site.ask(f"/documents/{old.id}?lang=en").text
    site.do(lambda box: box.spool.discard(old.id, "uid 0", "test page", NOW))
    assert "supersede" not in site.ask(f"/documents/{new.id}?lang=en").text


def test_documents_are_listed_from_the_newest_page_by_page(site: Site) -> None:
    """A box holds a hundred thousand of them."""
    times = [NOW + timedelta(seconds=n) for n in range(60)]
    ids = [document.id for document in site.do(lambda box: list(map(box.claimed, times)))]

    first = site.ask("/documents").text
    second = site.ask(f"/documents?before={ids[10]}").text

    assert re.findall(r'class="id" href="/documents/([^"?]+)', first) == ids[:9:-1]
    assert f"/documents?before={ids[10]}" in first
    assert re.findall(r'class="id" href="/documents/([^"?]+)', second) == ids[9::-1]


def test_documents_can_be_listed_by_state(site: Site) -> None:
    """Two refused ones among thousands have to be found."""
    refused = site.do(lambda box: box.refused())
    site.do(lambda box: box.filed())

    html = site.ask("/documents?state=refused").text

    assert re.findall(r'class="id" href="/documents/([^"?]+)', html) == [refused.id]


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "", "de"),
        ("", "en-GB,en;q=0.9,de;q=0.8", "en"),
        ("", "fr;q=0.9, de-AT;q=0.5, en;q=0.1", "de"),
        ("", "fr", "de"),
        ("", "en;q=0, de;q=x", "de"),
        ("?lang=en", "de", "en"),
        ("?lang=xx", "en", "en"),
    ],
)
def test_the_language_is_the_one_asked_for(
    site: Site, query: str, accept: str, expected: str
) -> None:
    """Chosen by hand, else by the browser, else the box's own."""
    answer = site.ask(f"/{query}", Accept_Language=accept)

    assert answer.headers["Content-Language"] == expected
    assert WORDS["well"][("de", "en").index(expected)] in answer.text


def test_a_chosen_language_goes_along_with_every_link(site: Site) -> None:
    """There is no cookie that could remember it."""
    site.do(filled)
    for path in ("/", "/documents"):
        links = re.findall(r'<a [^>]*href="(/[^"]*)"', site.ask(f"{path}?lang=en").text)

        assert len(links) > 5
        assert all("lang=en" in link for link in links)


def test_every_state_has_its_words() -> None:
    """A state without a word would be a page that does not open."""
    wanted = {f"document_{state}" for state in State} | {f"delivery_{s}" for s in DeliveryState}

    assert wanted <= WORDS.keys()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost:1",
        "",
        "127.0.0.1:{port}.evil.example",
    ],
)
def test_a_name_that_is_not_ours_is_refused(site: Site, host: str) -> None:
    """DNS rebinding: a foreign page gets its own name to point here, and reads along."""
    answer = site.ask("/", Host=host.format(port=site.port))

    assert answer.status in {400, 421}
    assert "marktamt" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_our_own_names_are_answered(site: Site, host: str) -> None:
    """The page is reached through a tunnel, too."""
    assert site.ask("/", Host=f"{host}:{site.port}").status == 200


def test_the_names_follow_from_where_it_listens() -> None:
    """A browser leaves the port 80 out; an address that means all is no name."""
    assert "10.1.2.3:8480" in allowed_hosts("10.1.2.3:8480")
    assert "10.1.2.3" in allowed_hosts("10.1.2.3:80")
    assert not {"0.0.0.0:8480", "[::]:8480"} & (
        allowed_hosts("0.0.0.0:8480") | allowed_hosts("[::]:8480")
    )


@pytest.mark.parametrize("path", ["/", "/documents", "/api/status", "/healthz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_here(site: Site, path: str, method: str) -> None:
    """Read-only for now: what changes something goes through the control socket."""
    assert site.ask(path, method).status == 405


@pytest.mark.parametrize(
    "path", ["/", "/documents", "/documents/nope", "/api/status", "/metrics", "/static/page.css"]
)
def test_every_answer_carries_the_headers(site: Site, path: str) -> None:
    """Also the errors and the static files."""
    headers = site.ask(path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "scanseal"


def test_no_page_names_a_file_or_a_person(site: Site) -> None:
    """I9, and there is no log-in yet: whoever reaches the page sees ids and codes."""
    site.do(filled)
    site.do(lambda box: [box.told(41), box.told(43)])
    ids = [document.id for document in site.do(lambda box: box.spool.newest(100))]
    paths = ["/", "/documents", "/api/status", "/metrics", "/healthz", "/readyz"]
    paths += [f"/documents?state={state}" for state in State]
    paths += [f"/documents/{document_id}" for document_id in ids]

    for path in paths:
        for language in ("de", "en"):
            separator = "&" if "?" in path else "?"
            answer = site.ask(f"{path}{separator}lang={language}")
            assert answer.status in {200, 503}
            assert names_nobody(answer.text), path


def test_numbers_that_never_arrived_are_shown_with_their_folder(site: Site) -> None:
    """As the scanner writes them; each document says its own, and what there is to remark."""
    site.do(lambda box: box.told(41, NOW - timedelta(minutes=2)))
    document = site.do(lambda box: box.told(43, NOW))
    page = site.ask("/?lang=en").text
    own = site.ask(f"/documents/{document.id}?lang=en").text

    assert re.search(r"post</strong>: Numbers that never arrived: 0042<", page)
    assert 'scanseal_hotfolder_scans_missing{hotfolder="post"} 1' in site.ask("/metrics").text
    assert "<dd>0043</dd>" in own
    assert "<dt>Pages announced</dt><dd>3</dd>" in own
    assert CODES["sidecar-differs"].en.sentence in own


def test_what_is_not_there_is_a_page_with_a_way_back(site: Site) -> None:
    """An id that was typed wrongly is no end of the road."""
    for path in ("/documents/nope", "/nothing", f"/documents/{'0' * 36}", "/documents/%2e%2e%2f"):
        answer = site.ask(f"{path}?lang=en")
        assert answer.status == 404
        assert "There is no such thing here." in answer.text
        assert 'href="/?lang=en"' in answer.text


def test_metrics_are_what_the_snapshot_says(site: Site) -> None:
    """Prometheus reads the same as everybody else."""
    site.do(filled)

    answer = site.ask("/metrics")

    lines = answer.text.splitlines()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'scanseal_documents{state="refused"} 1' in lines
    assert 'scanseal_documents{state="waiting"} 0' in lines
    assert 'scanseal_deliveries{target="dms",state="delivered"} 2' in lines
    assert f'scanseal_alarm{{code="{ALARM.code}",instance="dms"}} 1' in lines
    assert "scanseal_safe_to_unplug 0" in lines
    assert "scanseal_token_ready 1" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    histogram = {f"scanseal_sign_seconds_{part}" for part in ("bucket", "sum", "count")}
    samples = {re.split(r"[{ ]", line)[0] for line in lines if line[0] != "#"}
    assert histogram < samples
    assert samples - histogram <= set(names)
    assert 'scanseal_sign_seconds_bucket{le="+Inf"} 0' in lines


def test_the_status_is_there_as_json(site: Site) -> None:
    """For scripts: the same snapshot that MQTT has."""
    site.do(filled)

    answer = site.ask("/api/status")

    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.text)["documents"]["refused"] == 1


def test_ready_is_only_what_can_seal(site: Site) -> None:
    """Healthy means that the loop turns, ready that a scan would be sealed now."""
    assert site.ask("/healthz").text == "ok\n"
    assert site.ask("/readyz").status == 200

    starting = replace(LIVE.token, state="needs-person", code="pin-wrong")
    site.do(lambda box: box.know(token=starting))

    assert site.ask("/healthz").status == 200
    assert site.ask("/readyz").status == 503
    assert site.ask("/readyz").text == "pin-wrong\n"


def test_damaged_records_are_shown_and_do_not_take_the_page_away(site: Site) -> None:
    """The page is needed most when the database is gone."""
    site.do(filled)

    def damage(box: Watched) -> None:
        other = sqlite3.connect(box.database)
        other.execute("ALTER TABLE document RENAME TO elsewhere")
        other.execute("ALTER TABLE tally RENAME TO nowhere")
        other.close()

    site.do(damage)
    text = CODES["records-unreadable"].en.sentence

    overview = site.ask("/?lang=en")
    assert overview.status == 200
    assert text in overview.text
    assert "data-count" not in overview.text
    assert "loses nothing" not in overview.text  # nobody can promise that now
    assert "none yet" not in overview.text
    listed = site.ask("/documents?lang=en")
    assert listed.status == 503
    assert text in listed.text
    assert site.ask("/healthz").status == 200
    assert site.ask("/readyz").text.startswith("records-unreadable")
    assert "scanseal_documents{" not in site.ask("/metrics").text


def test_a_stop_does_not_wait_for_a_page(site: Site) -> None:
    """A technician's open page must not hold up a restart, nor one that never gets ready."""
    idle = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    idle.request("GET", "/")
    idle.getresponse().read()  # and the connection stays open
    site.hangs = True
    waiting = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    waiting.request("GET", "/")
    assert site.asked.wait(20)

    started = time.monotonic()
    site.close()
    assert time.monotonic() - started < 5
    idle.close()
    waiting.close()


@pytest.mark.parametrize(("language", "column"), [("de", 0), ("en", 1)])
def test_the_page_says_what_the_certificate_is_and_what_was_not_checked(
    site: Site, language: str, column: int
) -> None:
    """Qualified by its own word, how it signs, until when that is recommended, and what to know."""
    assert LIVE.certificate is not None
    certificate = replace(
        LIVE.certificate,
        qualified="qualified-not-checked",
        algorithm="ecdsa-sha256",
        recommended_until="2031-12-31",
        remarks=("curve-not-validated",),
    )
    site.do(lambda box: box.know(certificate=certificate))

    text = site.ask(f"/?lang={language}").text
    assert WORDS["qualified-not-checked"][column] in text
    assert "ecdsa-sha256" in text
    assert "2031-12-31" in text
    assert CODES["curve-not-validated"].text(language).sentence in text


def test_the_page_of_a_document_says_what_it_waits_for(site: Site) -> None:
    """With what to do about it."""
    document = site.do(lambda box: box.claimed())
    site.do(lambda box: box.spool.let_wait(document, "seal-quality", NOW))

    text = site.ask(f"/documents/{document.id}?lang=en").text
    assert CODES["seal-quality"].en.sentence in text
    assert CODES["seal-quality"].en.remedy.split("accept_advanced", maxsplit=1)[0] in text


@pytest.mark.parametrize(
    ("language", "before", "after", "quality", "claim"),
    [
        (
            "de",
            "noch keiner; er wird nachgeholt",
            "22.11.2026 13:05:00",
            "nicht geprüft",
            "PDF/A-2b",
        ),
        ("en", "none yet; it will follow", "2026-11-22 13:05:00", "not checked", "PDF/A-2b"),
    ],
)
def test_the_page_of_a_document_says_what_its_seal_is_worth(
    site: Site, browser: Browser, language: str, before: str, after: str, quality: str, claim: str
) -> None:
    """Level, the time and whose it is, PDF/A, and qualified or not: what a court asks first."""
    word = WORDS["qualified-not-checked"][LANGUAGES.index("en")]
    note = replace(NOTE, certificate=f"O=Stadt, serial 5; {word}", pdfa="2b")
    document = site.do(lambda box: box.unstamped(note=transfernote.as_xml(note)))
    sealed = Part(role="sealed", file="sealed.pdf", digest=document.sealed, size=9)

    def shown(part: str) -> str:
        browser.driver.get(site.url(f"/documents/{document.id}?lang={language}"))
        return browser.driver.find_element(By.ID, part).text

    assert (shown("level"), shown("stamp")) == ("B-B", before)
    overview = site.ask(f"/?lang={language}").text
    assert document.id in overview.partition('id="unstamped"')[2].partition("</li>")[0]
    at = NOW + timedelta(minutes=5)
    site.do(lambda box: box.spool.stamp(document, sealed, "B-T", at, at, "CN=TSA <1>,O=Bund"))

    assert (shown("level"), shown("stamp")) == ("B-T", f"{after}, CN=TSA <1>,O=Bund")
    assert quality in shown("quality")
    assert shown("pdfa").startswith(claim)
    overview = site.ask(f"/?lang={language}").text
    assert 'id="unstamped"' not in overview
    assert ">B-T<" in overview


@pytest.mark.parametrize(
    ("pdfa", "german"), [("3b", "PDF/A-3b"), ("none", "keines"), ("not claimed: fonts", "keines")]
)
def test_a_claim_that_is_none_is_shown_as_none(site: Site, pdfa: str, german: str) -> None:
    """And a certificate whose word is not in the note is not called anything."""
    note = transfernote.as_xml(replace(NOTE, certificate="O=Stadt, serial 5", pdfa=pdfa))
    document = site.do(lambda box: box.unstamped(note=note))

    text = site.ask(f"/documents/{document.id}?lang=de").text
    assert german in text.partition('id="pdfa">')[2].partition("</dd>")[0]
    assert 'id="quality"' not in text
