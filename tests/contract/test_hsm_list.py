"""`scanseal hsm list` on a real SoftHSM: what a technician sees before anybody logs in."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from contrib.demo.token import TokenFiles, make_token
from tests.system.box import SCANSEAL, Box

if TYPE_CHECKING:
    from pathlib import Path

PIN = "58230917"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    """A token with an RSA key and its certificate."""
    return make_token(tmp_path_factory.mktemp("token") / "t", pin=PIN)


def ask(files: TokenFiles, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `scanseal hsm list` as a technician does."""
    return subprocess.run(
        [SCANSEAL, "hsm", "list", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SOFTHSM2_CONF": str(files.softhsm2_conf)},
    )


def listed(files: TokenFiles, *arguments: str | Path) -> list[dict[str, Any]]:
    """Return the tokens of the JSON answer."""
    found: list[dict[str, Any]] = json.loads(ask(files, "--json", *arguments).stdout)["tokens"]
    return found


def test_token_key_and_certificate_of_the_configuration_are_marked(
    tmp_path: Path, files: TokenFiles
) -> None:
    """The service need not run, and its token's PIN is not read."""
    box = Box(tmp_path, files, pin=tmp_path / "nothing")
    tokens = listed(files, "--config", box.config)
    (ours,) = [token for token in tokens if token["configured"]]
    (key,), (certificate,) = ours["keys"], ours["certificates"]

    assert (ours["label"], ours["pin"]) == (files.token, "untried")
    assert "CKM_RSA_PKCS_PSS" in ours["mechanisms"]
    assert (key["kind"], key["bits"], key["configured"]) == ("rsa", 3072, True)
    assert certificate["fits"] is True
    assert certificate["of_keys"] == [files.key]
    assert "CN=Scanseal Demo Seal" in certificate["subject"]


def test_people_read_it_in_the_language_of_the_box(tmp_path: Path, files: TokenFiles) -> None:
    """What the PIN's flags say stands there in words."""
    box = Box(tmp_path, files)
    said = ask(files, "--config", box.config)

    assert said.returncode == 0, said.stderr
    assert "keine falsche probiert" in said.stdout
    assert "<- in der Konfiguration" in said.stdout
    assert "<- passt zum Schlüssel" in said.stdout


def test_a_token_that_is_missing_is_named_beside_those_that_are_there(
    tmp_path: Path, files: TokenFiles
) -> None:
    """Just then the list is wanted most."""
    box = Box(tmp_path, files, label="another")
    said = ask(files, "--config", box.config)

    assert said.returncode == 1
    assert f"Token {files.token!r}" in said.stdout
    assert "'another' der Konfiguration ist nicht dabei" in said.stdout
    assert "<-" not in said.stdout


def test_a_module_can_be_asked_before_there_is_a_configuration(files: TokenFiles) -> None:
    """The labels that the configuration needs come from here."""
    said = ask(files, "--module", files.module)

    assert said.returncode == 0, said.stderr
    assert f"Token {files.token!r}" in said.stdout


def test_what_is_no_module_is_named(tmp_path: Path, files: TokenFiles) -> None:
    """A path that is mistyped, and a file that is something else."""
    (tmp_path / "text.so").write_text("no library")
    for path in (tmp_path / "none.so", tmp_path / "text.so"):
        said = ask(files, "--module", path)

        assert said.returncode == 1
        assert said.stderr.startswith(f"hsm-module-missing: {path}"), said.stderr


def test_a_module_that_hangs_is_ended_with_a_sentence(tmp_path: Path, files: TokenFiles) -> None:
    """The configured time limit holds, and the technician hears what to do."""
    source, module = tmp_path / "hang.c", tmp_path / "hang.so"
    source.write_text(
        "#include <unistd.h>\nlong C_GetFunctionList(void *l) { for (;;) pause(); return 5; }\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", module, source], check=True)
    box = Box(tmp_path / "box", files, module=str(module))
    box.config.write_text(
        box.config.read_text().replace("timeout_seconds = 10", "timeout_seconds = 1")
    )
    began = time.monotonic()
    said = ask(files, "--config", box.config)

    assert said.returncode == 1
    assert said.stderr.startswith("module-unusable"), said.stderr
    assert "Hersteller" in said.stderr
    assert time.monotonic() - began < 30
