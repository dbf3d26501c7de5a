"""Five scans, all the way: the real service, a real Mayan as DMS, a folder as archive; then its page."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from contrib.mayan import office, server
from contrib.mayan.server import BUILD
from daemon.document import State
from tests.dms.desk import MAPPING

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.document import Document
    from tests.dms.desk import Desk
    from tests.system.box import Box

FOLDER = """\
kind = "folder"
role = "dms"
path = "{root}/dms"
"""
# SQLite below this Mayan takes one writer at a time.
MAYAN = """\
kind = "mayan"
role = "dms"
url = "{url}/api/v4"
user = "{user}"
password = "file:{secret}"
document_type = "{type}"
concurrency = 1
cabinets = ["{cabinet}"]
metadata = {{ {metadata} }}
"""


def deliver_to(box: Box, desk: Desk) -> None:
    """Have *box* deliver into Mayan instead of the folder."""
    text = box.config.read_text()
    folder = FOLDER.format(root=box.root)
    assert folder in text
    metadata = ", ".join(f'{name} = "{fact}"' for name, fact in MAPPING.items())
    names = {"user": office.USER, "type": office.TYPE, "cabinet": office.CABINET}
    mayan = MAYAN.format(url=desk.server.url, secret=desk.secret, metadata=metadata, **names)
    box.config.write_text(text.replace(folder, mayan))


def assert_held_once(desk: Desk, box: Box, document: Document) -> None:
    """Assert that Mayan has this document once, as it was sealed, and says so."""
    key = f"{document.id}/sealed.pdf"
    (number,) = desk.numbers(key)
    (stored,) = desk.stored(key)
    sealed = (box.folder(document) / "sealed.pdf").read_bytes()
    assert stored.read_bytes() == sealed
    metadata = desk.metadata(number)
    assert metadata["scanseal_id"] == document.id
    assert metadata["digest"] == sha256(sealed).hexdigest()
    assert metadata["gesiegelt_am"].endswith("Z")
    assert desk.cabinets(number) == [desk.office.cabinet_id]
    assert f"documents/{number}/files/" in box.command("prove", document.id).stdout


def test_five_scans_are_filed_once_each_and_their_page_shows_what_they_are(
    desk: Desk, make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """What the pilot's clerk sees at the end of it all."""
    before = {number for (number,) in desk.rows("select id from documents_document")}
    box = make_box()
    deliver_to(box, desk)
    box.start()
    for name, source in list(drawn.items())[:5]:
        box.drop(source, name)

    box.wait(box.at_rest(5), "all filed", 300)

    documents = box.documents()
    assert [document.state for document in documents] == [State.FILED] * 5
    for document in documents:
        assert_held_once(desk, box, document)
    after = {number for (number,) in desk.rows("select id from documents_document")}
    assert len(after - before) == 5
    assert box.status()["all_well"] is True
    assert box.command("check").returncode == 0
    (number,) = desk.numbers(f"{documents[0].id}/sealed.pdf")
    shown = page_of(desk, number, tmp_path)
    assert documents[0].id in shown
    assert desk.metadata(number)["digest"] in shown
    assert box.stop() == 0


def page_of(desk: Desk, number: int, profile: Path) -> str:
    """Return what Mayan's page of a document's metadata says in a browser; keep a picture of it."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
    for flag in (*flags, "--window-size=1200,900", f"--user-data-dir={profile / 'chromium'}"):
        options.add_argument(flag)
    # Its scripts come from npm, which is not asked here: what it renders itself is looked at.
    off = {"profile.managed_default_content_settings.javascript": 2}
    options.add_experimental_option("prefs", off)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        driver.get(f"{desk.server.url}/authentication/login/")
        driver.find_element(By.CSS_SELECTOR, "input[type=text]").send_keys(server.ADMIN)
        password = driver.find_element(By.CSS_SELECTOR, "input[type=password]")
        password.send_keys(desk.server.password)
        password.submit()
        driver.get(f"{desk.server.url}/metadata/documents/{number}/metadata/view/")
        driver.save_screenshot(os.fspath(BUILD / "page.png"))
        return driver.page_source
    finally:
        driver.quit()
