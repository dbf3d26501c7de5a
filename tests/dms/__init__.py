"""Against a real Mayan EDMS: `make test-dms` installs it and runs these; `make test` does not."""
