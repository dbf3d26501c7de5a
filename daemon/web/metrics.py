"""The snapshot as Prometheus reads it (text format 0.0.4). No personal data (I9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.latency import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.status import Oldest, Snapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[dict[str, str], float]


def text(snapshot: Snapshot) -> str:
    """Return all metrics."""
    lines: list[str] = []
    for name, kind, help_text, samples in _metrics(snapshot):
        lines += [f"# HELP scanseal_{name} {help_text}", f"# TYPE scanseal_{name} {kind}"]
        lines += [f"scanseal_{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    lines += _signatures(snapshot)
    return "\n".join(lines) + "\n"


def _signatures(s: Snapshot) -> Iterator[str]:
    """Yield the histogram of the token's signatures."""
    name, found = "scanseal_sign_seconds", s.token.latency
    yield f"# HELP {name} How long the HSM took for a good signature."
    yield f"# TYPE {name} histogram"
    for bound, count in zip(BOUNDS, found.at_most, strict=True):
        yield f'{name}_bucket{{le="{bound:g}"}} {count}'
    yield f'{name}_bucket{{le="+Inf"}} {found.count}'
    yield f"{name}_sum {found.seconds:.15g}"
    yield f"{name}_count {found.count}"


def _metrics(s: Snapshot) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield "info", "gauge", "Version and name.", [({"version": s.version, "box": s.box}, 1)]
    yield "start_time_seconds", "gauge", "Start of the service.", _one(s.started_at.timestamp())
    yield "all_well", "gauge", "1 if nobody has to do anything.", _one(s.all_well)
    yield (
        "safe_to_unplug",
        "gauge",
        "1 if everything scanned here is proven in DMS and archive.",
        _one(s.safe_to_unplug),
    )
    yield "records_readable", "gauge", "1 if the spool can be read.", _one(s.records_readable)
    yield (
        "alarm",
        "gauge",
        "1 for each alarm that is raised.",
        [({"code": a.code, "instance": a.instance}, 1) for a in s.alarms],
    )
    yield from _token(s)
    yield (
        "hotfolder_files_waiting",
        "gauge",
        "Files seen and not taken over.",
        [({"hotfolder": f.name}, f.waiting) for f in s.hotfolders],
    )
    yield (
        "hotfolder_scans_missing",
        "gauge",
        "Numbers of the scanners' counters that never arrived.",
        [({"hotfolder": m.hotfolder}, m.count) for m in s.missing],
    )
    yield "disk_free_bytes", "gauge", "Free space for documents.", _one(s.disk_free_bytes)
    yield "clock_trusted", "gauge", "1 if the time may stand in a seal.", _one(not s.clock)
    yield (
        "workers_replaced_total",
        "counter",
        "Worker processes replaced.",
        _one(s.workers_replaced),
    )
    if s.recheck is not None:
        yield (
            "rechecked_documents",
            "gauge",
            "Newest sample of stored documents.",
            _one(s.recheck.checked),
        )
        yield "stored_damaged", "gauge", "Stored documents found damaged.", _one(s.recheck.bad)
        if s.recheck.at is not None:
            yield (
                "last_recheck_seconds",
                "gauge",
                "When a stored document was last read again.",
                _one(s.recheck.at.timestamp()),
            )
    if s.mqtt_connected is not None:
        yield "mqtt_connected", "gauge", "1 if the broker is there.", _one(s.mqtt_connected)
    if s.records_readable:
        # Zeros that nobody counted would look like an empty box.
        yield from _records(s)


def _token(s: Snapshot) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield "token_ready", "gauge", "1 if the HSM can seal.", _one(s.token.state == "ready")
    yield "token_opened_total", "counter", "Openings of the HSM.", _one(s.token.opened)
    if s.certificate is not None:
        yield (
            "certificate_not_after_seconds",
            "gauge",
            "When the seal certificate expires.",
            _one(s.certificate.not_after.timestamp()),
        )


def _records(s: Snapshot) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield (
        "documents",
        "gauge",
        "Documents by state.",
        [({"state": state}, n) for state, n in s.documents.items()],
    )
    yield "documents_unproven", "gauge", "Not proven in DMS and archive.", _one(s.unproven)
    yield "oldest_unsealed_seconds", "gauge", "Age; 0: none.", _age(s, s.oldest_unsealed)
    yield "oldest_unfiled_seconds", "gauge", "Age; 0: none.", _age(s, s.oldest_unfiled)
    yield "oldest_refused_seconds", "gauge", "Age; 0: none.", _age(s, s.oldest_refused)
    yield (
        "deliveries",
        "gauge",
        "Deliveries by target and state.",
        [
            ({"target": target.name, "state": state}, n)
            for target in s.targets
            for state, n in target.deliveries.items()
        ],
    )
    yield (
        "target_last_success_seconds",
        "gauge",
        "When the target last proved a document.",
        [
            ({"target": target.name}, target.last_success.timestamp())
            for target in s.targets
            if target.last_success is not None
        ],
    )
    yield (
        "target_reachable",
        "gauge",
        "1 unless the target is known to be away.",
        [({"target": target.name}, target.unreachable_since is None) for target in s.targets],
    )
    yield "ledger_lines_total", "counter", "Lines in the custody ledger.", _one(s.ledger.seq)


def _one(value: float) -> list[Sample]:
    return [({}, float(value))]


def _age(s: Snapshot, oldest: Oldest | None) -> list[Sample]:
    return _one(max(0.0, (s.at - oldest.since).total_seconds()) if oldest else 0.0)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
