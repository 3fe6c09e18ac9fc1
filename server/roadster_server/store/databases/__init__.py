"""The databases below the store: SQLite and PostgreSQL, and their transactions."""
