"""PostgreSQL from the loader's side: the connection, the raw tables, the merge."""
