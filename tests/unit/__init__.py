"""Rules and small parts."""
