"""A disk that forgets what was not fsynced, and what a power cut makes of a box on it."""
