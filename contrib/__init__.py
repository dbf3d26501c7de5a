"""What helps to try and test Scanseal; nothing in here is installed with it."""
