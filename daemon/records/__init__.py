"""What the spool keeps: rows as values, logins, the ledger's files, and reading for views."""
