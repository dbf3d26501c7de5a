"""Tests: unit, contract, crash and system."""
