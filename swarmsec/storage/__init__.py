"""The database: SQLAlchemy Core tables, one transaction for a change and its log entry, SQLite or PostgreSQL."""
