"""Kills from outside, at the moments that matter."""
