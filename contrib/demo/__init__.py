"""The parts of `make demo`: scans, a token with its PKI, a scanner, a validator."""
