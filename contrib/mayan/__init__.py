"""A real Mayan EDMS for the tests: its packages, the server, what it needs before a delivery."""
