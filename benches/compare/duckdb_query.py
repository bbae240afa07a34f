"""A query in DuckDB: `duckdb_query.py SQL OUT FILE...`, where `$files` in SQL stands for the files. It writes the result as JSON lines."""

import sys

import duckdb

sql, out, *files = sys.argv[1:]
names = '[%s]' % ', '.join("'%s'" % file for file in files)
duckdb.sql(f"COPY ({sql.replace('$files', names)}) TO '{out}' (FORMAT json)")
