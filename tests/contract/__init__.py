"""One suite per port, against the real thing."""
