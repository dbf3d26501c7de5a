"""The fuzzer: scans that were damaged on purpose, through the real intake rule, sealer and workers.

    samples   what is damaged: small scans of every kind, drawn by code
    raw, text, graph, tiffs, segments, chunks    how: bytes, PDF source, PDF objects, image parts
    case      (seed, number) ──▶ one damaged file, always the same
    court     a process that damages and judges: nothing of that happens in the process that seals
    judge     poppler, pyHanko and Pillow over each sealed file and its source
    course    file ──▶ claim ──▶ seal ──▶ judge, for as many as wanted; tally and table of it

`python -m tests.fuzz --help` says how to run it; `make torture` runs twenty thousand.
"""
