"""The configuration: everything that is wrong with it, at once and by name."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import config, sections
from daemon.config import Config, load
from daemon.errors import ConfigError

SAMPLE = Path(__file__).parents[2] / "config" / "scanseal.toml"
GOOD = """
[box]
name = "marktamt-01"
organisation = "Stadt Leipzig, Marktamt"

[[hotfolder]]
name = "post"
path = "/srv/scans/post"
rejected = "/srv/scans/post/rejected"
profile = "post"

[profile.post]
procedure = "Scankonzept 1.4"

[hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"
token = "scanseal"
key = "seal"
chain = "/etc/scanseal/chain.pem"
pin = "credential:hsm-pin"

[[target]]
name = "dms"
kind = "folder"
role = "dms"
path = "/srv/dms"

[[target]]
name = "archive"
kind = "folder"
role = "archive"
path = "/srv/archive"
"""
SECTIONS: dict[str, type[Any]] = {
    "[box]": config.Box,
    "[[hotfolder]]": config.HotFolder,
    "[profile.post]": config.Profile,
    "[hsm]": config.HsmSection,
    "[seal]": config.Seal,
    "[[target]]": config.FolderSection,
    "[limits]": config.LimitsSection,
    "[mqtt]": config.Mqtt,
    "[web]": config.Web,
}
LATER = [
    (section, item)
    for section, cls in SECTIONS.items()
    for item in fields(cls)
    if item.metadata.get("later")
]
SECRET = "271828"


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "scanseal.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return caught.value.problems


def put(section: str, line: str) -> str:
    """Return GOOD with *line* added to *section*, instead of the line of that key."""
    key = line.partition("=")[0].strip()
    if section not in GOOD:
        host = 'host = "127.0.0.1"\n' if section == "[mqtt]" and key != "host" else ""
        return f"{GOOD}\n{section}\n{host}{line}\n"
    before, name, rest = GOOD.partition(section + "\n")
    body, blank, after = rest.partition("\n\n")
    body = "\n".join(kept for kept in body.split("\n") if not kept.startswith(f"{key} ="))
    return f"{before}{name}{line}\n{body}{blank}{after}"


def test_a_small_configuration_is_enough(tmp_path: Path) -> None:
    """Everything that has a default may be left out, whole tables of it too."""
    found = read(tmp_path, GOOD)

    assert found.box.state_dir == "/var/lib/scanseal"
    assert found.hotfolders[0].settle_seconds == 10.0
    assert found.profiles["post"].max_pages == 2000
    assert [target.role for target in found.targets] == ["dms", "archive"]
    assert found.mqtt is None
    assert found.web is None
    assert found.documents == Path("/var/lib/scanseal/documents")
    assert found.work_in == Path("/var/lib/scanseal/work/in")
    assert found.work_out == Path("/var/lib/scanseal/work/out")
    assert found.socket == Path("/var/lib/scanseal/control.sock")


def test_an_empty_file_names_everything_that_is_missing(tmp_path: Path) -> None:
    """Nobody has to start the service eleven times to find out what it wants."""
    found = problems(tmp_path, "")

    for wanted in (
        "[box] name: is missing",
        "[box] organisation: is missing",
        "[hsm] module: is missing",
        "[hsm] token: is missing",
        "[hsm] key: is missing",
        "[hsm] chain: is missing",
        "[hsm] pin: is missing",
        "[[hotfolder]] there is none: nothing would ever be scanned",
        "[[target]] none has role = 'dms': a document needs a DMS and an archive",
        "[[target]] none has role = 'archive': a document needs a DMS and an archive",
    ):
        assert wanted in found
    assert len(found) == 10


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    """Of the sections, of their values, and between them."""
    text = (
        GOOD.replace('name = "marktamt-01"', 'name = "Marktamt 01"\nclok = "host"')
        .replace('profile = "post"', 'profile = "psot"\nsettle_seconds = 0')
        .replace('path = "/srv/archive"', 'path = "/srv/dms/archive"')
        .replace('procedure = "Scankonzept 1.4"', 'procedure = 14\nlevel = "B-LTA"')
        + '[mqqt]\nhost = "x"\n'
        + "[web]\nlisten = 8480\n"
    )

    found = problems(tmp_path, text)

    inside = "must not overlap with [[target]] dms: path ('/srv/dms/archive' and '/srv/dms')"
    assert sorted(found) == sorted(
        (
            "[box] clok: unknown key (did you mean 'clock'?)",
            "[[hotfolder]] post: settle_seconds: must be greater than 0 (got 0)",
            "[profile.post] level: must be B-B or B-T or B-LT (got 'B-LTA')",
            "[profile.post] procedure: must be text (got 14)",
            "[mqqt] unknown section (did you mean [mqtt]?)",
            "[web] listen: must be text (got 8480)",
            "[[hotfolder]] post: profile: [profile.psot] does not exist (did you mean 'post'?)",
            f"[[target]] archive: path: {inside}",
            "[box] name: must be lower-case letters, digits, '.', '_' or '-' (got 'Marktamt 01')",
        )
    )


@pytest.mark.parametrize("level", ["B-T", "B-LT"])
def test_a_level_with_a_time_stamp_needs_somebody_who_gives_one(tmp_path: Path, level: str) -> None:
    """Every document would wait for it, and be late."""
    text = GOOD.replace('procedure = "', f'level = "{level}"\nprocedure = "')

    assert problems(tmp_path, text) == (
        f"[profile.post] level: {level} needs [seal] timestamp_urls",
    )


def test_the_order_of_the_problems_is_the_same_each_time(tmp_path: Path) -> None:
    """A list that jumps about cannot be worked through."""
    text = GOOD + "".join(f"[{name}]\n" for name in ("zeta", "alpha", "mqt", "wep", "delta"))
    text = text.replace("[box]\n", "[box]\nzz = 1\naa = 2\nmm = 3\nkk = 4\n")

    found = problems(tmp_path, text)

    assert [line.split()[0] for line in found] == [
        "[alpha]",
        "[delta]",
        "[mqt]",
        "[wep]",
        "[zeta]",
        *["[box]"] * 4,
    ]
    assert [line.split()[1] for line in found[5:]] == ["aa:", "kk:", "mm:", "zz:"]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("[bxo]", "[box]"),
        ("[mqqt]", "[mqtt]"),
        ("[webb]", "[web]"),
        ("[profiles.post]", "[profile]"),
        ("[[hotfolders]]", "[hotfolder]"),
    ],
)
def test_a_section_with_a_typo_is_named_with_what_was_meant(
    tmp_path: Path, wrong: str, hint: str
) -> None:
    """A typo must not become a default: without this, `[mqqt]` would be no MQTT."""
    found = problems(tmp_path, f"{GOOD}\n{wrong}\n")

    assert any("unknown section" in line and f"did you mean {hint}?" in line for line in found)


def test_what_resembles_nothing_gets_no_hint(tmp_path: Path) -> None:
    """A wrong guess leads further away than none."""
    assert problems(tmp_path, GOOD + "[xyzzy]\n") == ("[xyzzy] unknown section",)


@pytest.mark.parametrize(
    ("section", "item"), LATER, ids=lambda value: getattr(value, "name", value)
)
def test_a_key_of_a_later_feature_takes_its_default_only(
    tmp_path: Path, section: str, item: Field[Any]
) -> None:
    """No key is silently ignored: who sets it would believe that it works."""
    default = item.default
    other: dict[type, str] = {
        str: '"another"',
        int: f"{default}1",
        float: f"{default}1",
        tuple: '["https://tsa.example/"]',
    }
    same = '"' + default + '"' if isinstance(default, str) else str(default).replace("()", "[]")

    read(tmp_path, put(section, f"{item.name} = {same}"))
    (found,) = problems(tmp_path, put(section, f"{item.name} = {other[type(default)]}"))

    assert f" {item.name}: not-available-yet: only {default!r} so far (got " in found


def test_the_keys_that_are_not_built_are_these() -> None:
    """Whoever builds one takes it off this list, and writes its tests."""
    assert {f"{section} {item.name}" for section, item in LATER} == {
        "[profile.post] seal_after",
        "[profile.post] paper_days",
        "[profile.post] sample_percent",
        "[seal] permissions",
    }


@pytest.mark.parametrize(
    ("section", "line", "wanted"),
    [
        ("[box]", 'organisation = " "', "organisation: must not be empty"),
        ("[box]", 'state_dir = "var"', "state_dir: must be an absolute path (got 'var')"),
        ("[box]", 'language = "fr"', "language: must be de or en (got 'fr')"),
        ("[box]", 'timezone = "Berlin"', "timezone: is not known here (got 'Berlin')"),
        ("[box]", "min_free_mb = -1", "min_free_mb: must be greater than -1 (got -1)"),
        ("[hsm]", "sessions = 0", "sessions: must be greater than 0 (got 0)"),
        ("[hsm]", "sessions = 9", "sessions: must be at most 8 (got 9)"),
        ("[box]", "min_free_mb = true", "min_free_mb: must be a whole number (got True)"),
        ("[box]", "min_free_mb = 1.5", "min_free_mb: must be a whole number (got 1.5)"),
        ("[box]", 'clock = "rtc"', "clock: must be ntp-or-rtc or host (got 'rtc')"),
        ("[box]", f'state_dir = "/{"s" * 95}"', "state_dir: is too long for the control socket"),
        ("[[hotfolder]]", 'name = "Post"', "name: must be lower-case"),
        ("[[hotfolder]]", 'name = "a/b"', "name: must be lower-case"),
        ("[[hotfolder]]", 'path = "scans"', "path: must be an absolute path (got 'scans')"),
        ("[[hotfolder]]", 'path = "/a\\u0000b"', "path: must be an absolute path"),
        ("[[hotfolder]]", 'rejected = "/srv/scans/post/"', "must not be the hot folder itself"),
        ("[[hotfolder]]", 'rejected = "/srv/scans/post/.scanseal"', "rejected: must not lie in"),
        ("[[hotfolder]]", 'rejected = "/srv/scans/post/.scanseal/x"', "rejected: must not lie in"),
        (
            "[[hotfolder]]",
            "settle_seconds = nan",
            "settle_seconds: must be greater than 0 (got nan)",
        ),
        (
            "[[hotfolder]]",
            "settle_seconds = inf",
            "settle_seconds: must be at most 1e+09 (got inf)",
        ),
        ("[[hotfolder]]", "give_up_seconds = 5", "give_up_seconds: must not be less than settle"),
        ("[[hotfolder]]", "rescan_seconds = 0.0", "rescan_seconds: must be greater than 0 (got 0)"),
        ("[[hotfolder]]", 'ignore = "*.tmp"', "ignore: must be a list of texts (got '*.tmp')"),
        ("[[hotfolder]]", "ignore = [1]", "ignore: must be a list of texts (got [1])"),
        ("[[hotfolder]]", 'subfolders = "yes"', "subfolders: must be true or false (got 'yes')"),
        ("[[hotfolder]]", 'name_pattern = "("', "name_pattern: is no regular expression"),
        ("[[hotfolder]]", 'name_pattern = "[0-9]+"', "name_pattern: names no group"),
        (
            "[[hotfolder]]",
            'name_pattern = "(?P<user>.+)"',
            "name_pattern: group 'user' is not one of batch, counter, number, operator, pages",
        ),
        ("[[hotfolder]]", 'sidecar = "maybe"', "sidecar: must be none or optional or required"),
        ("[[hotfolder]]", "sidecar_wait_seconds = 0", "sidecar_wait_seconds: must be greater"),
        ("[[hotfolder]]", "keep_rejected_days = 0", "keep_rejected_days: must be greater than 0"),
        ("[[hotfolder]]", 'report = "last.txt"', "report: must be an absolute path"),
        ("[profile.post]", 'colour = "yes"', "colour: must be any or wanted (got 'yes')"),
        ("[profile.post]", 'damaged_pdf = "accept"', "damaged_pdf: must be refuse or envelope"),
        ("[profile.post]", 'xfa = "no"', "xfa: must be refuse or envelope or accept (got 'no')"),
        ("[profile.post]", "min_dpi = -1", "min_dpi: must be greater than -1 (got -1)"),
        ("[limits]", "memory_mb = 255", "memory_mb: must be greater than 255 (got 255)"),
        ("[limits]", "cpu_seconds = 0", "cpu_seconds: must be greater than 0 (got 0)"),
        ("[limits]", "wall_seconds = 3601", "wall_seconds: must be at most 3600 (got 3601)"),
        ("[limits]", "max_nesting = 501", "max_nesting: must be at most 500 (got 501)"),
        ("[profile.post]", "max_mb = 0", "max_mb: must be greater than 0 (got 0)"),
        ("[profile.post]", "max_mb = 65537", "max_mb: must be at most 65536 (got 65537)"),
        ("[profile.post]", "max_pages = 100001", "max_pages: must be at most 100000"),
        ("[profile.post]", 'procedure = ""', "procedure: must name the scan procedure"),
        ("[hsm]", 'module = "softhsm"', "module: must be an absolute path (got 'softhsm')"),
        ("[hsm]", 'chain = ""', "chain: must be an absolute path (got '')"),
        ("[hsm]", 'certificate = "x"', "certificate: must be an absolute path (got 'x')"),
        ("[hsm]", "timeout_seconds = 0", "timeout_seconds: must be greater than 0 (got 0)"),
        ("[hsm]", "timeout_seconds = 601", "timeout_seconds: must be at most 600 (got 601)"),
        ("[[target]]", 'role = "DMS"', "role: must be dms or archive (got 'DMS')"),
        ("[[target]]", 'kind = "ftp"', "kind: must be folder, enaio, mayan, s3, webdav"),
        ("[[target]]", 'path = "dms"', "path: must be an absolute path (got 'dms')"),
        ("[mqtt]", 'host = ""', "host: must not be empty"),
        ("[mqtt]", "port = 65536", "port: must be at most 65535 (got 65536)"),
        ("[mqtt]", 'topic = "a/#"', "topic: must be a topic without wildcards"),
        ("[mqtt]", 'topic = "a/"', "topic: must be a topic without wildcards"),
        ("[mqtt]", "interval_seconds = 0", "interval_seconds: must be greater than 0 (got 0)"),
        ("[web]", 'listen = "8480"', "listen: must be ADDRESS:PORT (got '8480')"),
        ("[web]", 'listen = "127.0.0.1:65536"', "listen: must be ADDRESS:PORT"),
        ("[web]", 'listen = "127.0.0.1:99999"', "listen: must be ADDRESS:PORT"),
    ],
)
def test_each_value_that_cannot_work_is_named(
    tmp_path: Path, section: str, line: str, wanted: str
) -> None:
    """By section and key, with what was found there."""
    found = problems(tmp_path, put(section, line))

    assert any(wanted in problem for problem in found)
    assert all(
        problem.startswith(section[:-1].rstrip("]"))
        for problem in found
        if "missing" not in problem
    )


def test_limits_may_be_left_out(tmp_path: Path) -> None:
    """Then each has its default; one that is set changes no other."""
    assert read(tmp_path, GOOD).limits == config.LimitsSection()
    one = read(tmp_path, put("[limits]", "memory_mb = 512")).limits
    assert one == config.LimitsSection(memory_mb=512)


def test_each_policy_stands_for_one_code() -> None:
    """What a profile says reaches the page worker by code; nothing is forgotten on the way."""
    profile = config.Profile(procedure="Scankonzept 1.4")
    assert set(profile.policies.values()) == {"refuse"}
    for key, code in sections.POLICIES.items():
        changed: dict[str, Any] = {key: "envelope"}
        other = dataclasses.replace(profile, **changed)
        assert other.policies == profile.policies | {code: "envelope"}


@pytest.mark.parametrize(
    "text",
    [
        '[box]\nname = "a',
        "[box",
        "name",
        "[box]\n[box]\n",
    ],
)
def test_what_is_not_toml_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    """With the place that the parser names."""
    (found,) = problems(tmp_path, text)

    assert found.startswith("is not TOML: ")
    assert "line 1" in found or "line 2" in found or "at end" in found


def test_bytes_that_are_no_text_are_not_toml(tmp_path: Path) -> None:
    """A file saved as Latin-1."""
    path = tmp_path / "scanseal.toml"
    path.write_bytes('[box]\norganisation = "B\u00fcrgeramt"\n'.encode("latin-1"))

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert caught.value.problems[0].startswith("is not TOML: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The caller prints which file it was."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "missing.toml")

    assert caught.value.problems == ("cannot be read: No such file or directory",)


@pytest.mark.parametrize(
    "text",
    [
        'hotfolder = "x"',
        "[hotfolder]\n",
        "hotfolder = [1]",
        "[[profile]]\n",
        "profile = 3",
        "profile.post = 3",
        "box = []",
        "hsm = 5",
        "mqtt = false",
        "[[mqtt]]\n",
        "target = {}",
        "[[hotfolder]]\nname = 5\n",
    ],
)
def test_a_table_of_the_wrong_shape_is_a_problem_and_no_crash(tmp_path: Path, text: str) -> None:
    """[x] for [[x]] is the commonest mistake of all."""
    assert problems(tmp_path, text)


@pytest.mark.parametrize(
    "line",
    [
        f"pin = {SECRET}",
        f'pin = "{SECRET}"',
        f'pin = ["{SECRET}"]',
        f'pin = {{ value = "{SECRET}" }}',
        f"pin = {SECRET}.0",
        f'pin = "file:{SECRET}"',
        f'pin = "credential:/{SECRET}"',
        f'pin = "credential:{SECRET} "',
        f'pin = "pin:{SECRET}"',
        f"pin = 2028-01-02T{SECRET[:2]}:18:28Z",
        f'pin = "credential:hsm-pin"\nPIN = "{SECRET}"',
        f'pin = "credential:hsm-pin"\npinn = {SECRET}',
        f"pin = {SECRET}x",
        f"pin = '{SECRET}",
        f"pin {SECRET}",
    ],
)
def test_a_pin_that_was_written_here_is_never_shown(tmp_path: Path, line: str) -> None:
    """What `scanseal check` prints is read over a shoulder, and ends in a ticket."""
    found = problems(tmp_path, put("[hsm]", line))

    assert found
    for problem in found:
        assert SECRET not in problem
        assert "18:28" not in problem


def test_the_pin_comes_from_systemd_or_from_a_file(tmp_path: Path) -> None:
    """$CREDENTIALS_DIRECTORY is systemd's; outside of it the error says what to write."""
    from_systemd = read(tmp_path, GOOD)
    from_file = read(tmp_path, put("[hsm]", 'pin = "file:/etc/scanseal/pin"'))

    assert from_systemd.pin_file("/run/credentials/x") == Path("/run/credentials/x/hsm-pin")
    assert from_file.pin_file(None) == Path("/etc/scanseal/pin")
    with pytest.raises(ConfigError, match="file:/PATH"):
        from_systemd.pin_file(None)


ARCHIVE = '[[target]]\nname = "archive"\nkind = "folder"\nrole = "archive"\npath = "/srv/archive"\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"/srv/archive"', '"/srv/dms"'),
        ('"/srv/archive"', '"/srv/dms/"'),
        ('"/srv/archive"', '"/srv/dms/deeper"'),
        ('"/srv/archive"', '"/srv"'),
        ('"/srv/archive"', '"/"'),
        ('"/srv/archive"', '"//srv/dms"'),
        ('"/srv/archive"', '"/srv/x/../dms"'),
        ('"/srv/archive"', '"/srv/scans/post/archive"'),
        ('"/srv/archive"', '"/srv/scans"'),
        ('"/srv/archive"', '"/var/lib/scanseal/documents"'),
        ('path = "/srv/scans/post"', 'path = "/var/lib/scanseal/in"'),
        ('path = "/srv/scans/post"', 'path = "/var/lib"'),
        ('"/srv/scans/post/rejected"', '"/srv/dms/rejected"'),
        ('"/srv/scans/post/rejected"', '"/var/lib/scanseal/rejected"'),
        ('"/srv/scans/post/rejected"', '"/srv/scans"'),
    ],
)
def test_places_must_not_overlap(tmp_path: Path, old: str, new: str) -> None:
    """A target inside a hot folder would be scanned again; one inside another, counted twice."""
    assert old in GOOD

    found = problems(tmp_path, GOOD.replace(old, new))

    assert any("must not overlap with" in line for line in found)


def test_refused_copies_must_not_land_in_another_hot_folder(tmp_path: Path) -> None:
    """They would be claimed there, refused, copied back, and so on for ever."""
    text = GOOD + (
        '[[hotfolder]]\nname = "bau"\npath = "/srv/scans/bau"\n'
        'rejected = "/srv/scans/post"\nprofile = "post"\n'
    )

    found = problems(tmp_path, text)

    assert any("bau: rejected: must not overlap with [[hotfolder]] post: path" in x for x in found)


BAU = (
    '[[hotfolder]]\nname = "bau"\npath = "/srv/scans/bau"\n'
    'rejected = "/srv/scans/bau-rejected"\nprofile = "post"\nreport = "{}"\n'
)


@pytest.mark.parametrize(
    ("report", "wanted"),
    [
        ("/var/lib/scanseal/last.txt", "bau: report: must not overlap with [box] state_dir"),
        ("/srv/dms/last.txt", "bau: report: must not overlap with [[target]] dms: path"),
        ("/srv/scans/post/last.txt", "bau: report: must not overlap with [[hotfolder]] post: path"),
        (
            "/srv/scans/post/rejected/last.txt",
            "bau: report: must not overlap with [[hotfolder]] post: rejected",
        ),
        ("/srv/scans", "bau: report: must not overlap with [[hotfolder]] post: path"),
        ("/srv/scans/bau", "bau: report: must be a file, not a folder"),
        ("/srv/scans/bau-rejected/", "bau: report: must be a file, not a folder"),
        ("/srv/scans/bau/.scanseal/x", "bau: report: must not lie in .scanseal"),
    ],
)
def test_a_report_lies_where_nothing_else_does(tmp_path: Path, report: str, wanted: str) -> None:
    """In another hot folder it would be taken for a scan; in a target, for a document."""
    found = problems(tmp_path, GOOD + BAU.format(report))

    assert any(wanted in problem for problem in found), found


def test_two_hot_folders_have_two_reports(tmp_path: Path) -> None:
    """Each would overwrite what the other wrote."""
    text = put("[[hotfolder]]", 'report = "/srv/last.txt"')

    found = problems(tmp_path, text + BAU.format("/srv/last.txt"))

    assert any("bau: report: must not overlap with [[hotfolder]] post: report" in x for x in found)


@pytest.mark.parametrize(
    "report", ["/srv/scans/bau/Letzte Scans.txt", "/srv/scans/bau-rejected/x.txt", "/srv/last.txt"]
)
def test_a_report_may_lie_in_its_own_hot_folder(tmp_path: Path, report: str) -> None:
    """Or wherever else its people look."""
    loaded = read(tmp_path, GOOD + BAU.format(report))

    assert loaded.hotfolders[1].report == report


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"/srv/archive"', '"/srv/dms2"'),
        ('"/srv/scans/post/rejected"', '"/srv/scans/rejected"'),
        ('path = "/srv/scans/post"', 'path = "/srv/scans/postfach"'),
    ],
)
def test_neighbours_do_not_overlap(tmp_path: Path, old: str, new: str) -> None:
    """/srv/dms and /srv/dms2 have letters in common and nothing else."""
    read(tmp_path, GOOD.replace(old, new))


def test_names_are_used_once(tmp_path: Path) -> None:
    """They are keys of the spool: two targets of one name would be one."""
    text = GOOD.replace('name = "archive"', 'name = "dms"')

    assert problems(tmp_path, text) == ("[[target]] dms: the name is used twice",)


def test_a_dms_and_an_archive_are_needed(tmp_path: Path) -> None:
    """FILED needs a proof of both: without one, nothing would ever be at rest."""
    assert problems(tmp_path, GOOD.replace(ARCHIVE, "")) == (
        "[[target]] none has role = 'archive': a document needs a DMS and an archive",
    )


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('path = "/srv/archive"', 'path = "archive"', "path: must be an absolute path"),
        ('role = "archive"', 'role = "archiv"', "role: must be dms or archive (got 'archiv')"),
        ('role = "archive"', "", "role: is missing"),
    ],
)
def test_a_broken_target_is_not_called_a_missing_one(
    tmp_path: Path, old: str, new: str, wanted: str
) -> None:
    """One mistake, one line."""
    (found,) = problems(tmp_path, GOOD.replace(old, new))

    assert found.startswith(f"[[target]] archive: {wanted}")


json_like = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    section=st.sampled_from(sorted(config.KNOWN)),
    key=st.sampled_from(sorted({item.name for cls in SECTIONS.values() for item in fields(cls)})),
    value=json_like,
)
@settings(deadline=None, max_examples=150)
def test_no_value_breaks_the_loader(
    tmp_path_factory: pytest.TempPathFactory, section: str, key: str, value: object
) -> None:
    """Whatever stands there: a Config, or ConfigError with sentences."""
    path = tmp_path_factory.mktemp("config") / "scanseal.toml"
    path.write_text(f"[{section}]\n{key} = {_toml(value)}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert all(isinstance(line, str) and line for line in caught.value.problems)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08X}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    return str(value)


# -- config/scanseal.toml ------------------------------------------------------------------


def test_the_file_that_comes_with_the_package_loads() -> None:
    """As it is: with SoftHSM's path, and two folders as targets."""
    found = load(SAMPLE)

    assert found.box.name == "marktamt-01"
    assert found.mqtt is not None
    assert found.web is not None
    assert (found.web.host, found.web.port) == ("127.0.0.1", 8480)


def test_it_shows_every_default_as_it_is() -> None:
    """A value there that differs from the code's would be a lie about what happens without it."""
    raw = tomllib.loads(SAMPLE.read_text(encoding="utf-8"))
    tables = {
        "[box]": raw["box"],
        "[[hotfolder]]": raw["hotfolder"][0],
        "[profile.post]": raw["profile"]["post"],
        "[hsm]": raw["hsm"],
        "[seal]": raw["seal"],
        "[mqtt]": raw["mqtt"],
        "[web]": raw["web"],
    }
    for section, table in tables.items():
        for item in fields(SECTIONS[section]):
            assert item.name in table, f"{section} {item.name} is not in the sample"
            if item.default is not MISSING:
                value = table[item.name]
                assert (tuple(value) if isinstance(value, list) else value) == item.default
    for target in raw["target"]:
        assert {"name", "kind", "role", "path"} <= set(target)


def test_every_key_of_it_is_explained() -> None:
    """A comment above each key, and `not built yet` above each that takes its default only."""
    explained: dict[str, str] = {}
    section, comment = "", ""
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment += line.lstrip("#") + "\n"
        elif found := re.match(r"\[+([a-z.]+)\]+$", line):
            section, comment = found[0], ""
        elif found := re.match(r"([a-z0-9_]+) = ", line):
            explained.setdefault(f"{section} {found[1]}", comment)
            comment = ""
        elif not line:
            comment = ""

    for section, cls in SECTIONS.items():
        for item in fields(cls):
            words = explained[f"{section} {item.name}"]
            assert len(words.split()) >= 4, f"{section} {item.name}: {words!r}"
            assert bool(item.metadata.get("later")) == ("Not built yet" in words), item.name
            if item.default is not MISSING and not item.metadata.get("later"):
                assert "Default" in words, f"{section} {item.name}"


def test_no_line_of_it_is_too_wide() -> None:
    """It is read in a terminal, next to another one."""
    assert max(map(len, SAMPLE.read_text(encoding="utf-8").splitlines())) <= 100


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            'integrity = "very-high"',
            'integrity: not-available-yet: "very-high" needs level = "B-T"',
        ),
        ('integrity = "higher"', "integrity: must be normal or high or very-high (got 'higher')"),
        ('accept_advanced = " "', "accept_advanced: must be a reason in words"),
        ('integrity = "high"\naccept_advanced = "Beschluss 12/2026"', ""),
    ],
)
def test_what_a_profile_asks_of_the_seal(tmp_path: Path, line: str, wanted: str) -> None:
    """A need for protection that nothing here meets is never accepted in silence."""
    path = tmp_path / "scanseal.toml"
    path.write_text(GOOD.replace("[profile.post]\n", f"[profile.post]\n{line}\n"))

    if not wanted:
        assert config.load(path).profiles["post"].accept_advanced == "Beschluss 12/2026"
        return
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert any(wanted in problem for problem in caught.value.problems), caught.value.problems


# -- where documents go -------------------------------------------------------------------

SECOND = '\n[[target]]\nname = "second"\nkind = "folder"\nrole = "archive"\npath = "/srv/second"\n'


def of_the_second(line: str) -> str:
    """Return GOOD with a second archive, which says *line*."""
    return f"{GOOD}{SECOND}{line}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            put("[profile.post]", 'targets = ["dms", "archiv"]'),
            "[profile.post] targets: there is no target 'archiv' (did you mean 'archive'?)",
        ),
        (
            put("[profile.post]", 'targets = ["dms"]'),
            "[profile.post] targets: none has role = 'archive': a document needs a DMS and an archive",
        ),
        (
            of_the_second('after = "third"'),
            "[[target]] second: after: there is no target 'third'",
        ),
        (of_the_second('after = "second"'), "[[target]] second: after: would wait for itself"),
        (
            of_the_second('after = "dms"').replace(
                'name = "dms"', 'name = "dms"\nafter = "second"'
            ),
            "[[target]] dms: after: would wait for itself",
        ),
        (
            of_the_second("")
            .replace(
                'procedure = "Scankonzept 1.4"',
                'procedure = "Scankonzept 1.4"\ntargets = ["dms", "archive"]',
            )
            .replace('name = "dms"', 'name = "dms"\nafter = "second"'),
            "[profile.post] targets: dms waits for second, which is none of them",
        ),
        (
            of_the_second('proof = "metadata"'),
            "[profile.post] proof: [[target]] second proves by 'metadata', this profile accepts",
        ),
        (of_the_second('windows = ["Mo-Fr"]'), "[[target]] second: windows: must be like"),
    ],
)
def test_where_documents_go_is_looked_at_before_one_is_scanned(
    tmp_path: Path, text: str, wanted: str
) -> None:
    """One that could never be filed, or would wait for ever, is no configuration."""
    assert any(problem.startswith(wanted) for problem in problems(tmp_path, text))


def test_documents_go_where_their_profile_says(tmp_path: Path) -> None:
    """To all targets, unless it names some."""
    assert [one.name for one in read(tmp_path, of_the_second("")).routed("post")] == [
        "dms",
        "archive",
        "second",
    ]
    text = of_the_second("").replace(
        'procedure = "Scankonzept 1.4"',
        'procedure = "Scankonzept 1.4"\ntargets = ["second", "dms"]\nproof = "checksum"',
    )
    assert [one.name for one in read(tmp_path, text).routed("post")] == ["dms", "second"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('url = "ftp://dms"', "url: must be an http or https address, without a login in it"),
        ('url = "https://box:secret@dms"', "url: must be an http or https address"),
        ('password = "secret"', "password: must be credential:NAME or file:/PATH"),
        ('password = "file:relative"', "password: must be credential:NAME or file:/PATH"),
        ('pins = ["abc"]', "pins: must be SHA-256 digests of certificates"),
        ('client_certificate = "/etc/c.pem"', "client_certificate: needs client_key"),
        ('ca = "ca.pem"', "ca: must be an absolute path"),
        ('url = "http://dms"\npassword = "file:/p"', "password: needs an https address"),
        (f'url = "http://dms"\npins = ["{"0" * 64}"]', "pins: need an https address"),
    ],
)
def test_what_a_target_by_http_needs_is_named(tmp_path: Path, line: str, wanted: str) -> None:
    """And a secret that was written there is not shown."""
    url = "" if "url =" in line else 'url = "https://dms"\n'
    text = GOOD.replace(
        'kind = "folder"\nrole = "dms"\npath = "/srv/dms"\n',
        (f'kind = "webdav"\nrole = "dms"\n{url}{line}\n'),
    )

    found = problems(tmp_path, text)

    assert any(problem.startswith(f"[[target]] dms: {wanted}") for problem in found), found
    assert "secret" not in "".join(found).replace("the secret itself", "")
