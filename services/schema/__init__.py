"""The schema of Postgres, as Alembic revisions."""
