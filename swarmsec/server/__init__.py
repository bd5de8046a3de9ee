"""The HTTPS server: framework-facing only; it knows no database and no authority, it is given ports (``ports``)."""
