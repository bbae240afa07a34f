"""A whole job in DuckDB: `duckdb_output.py JOB OUT FILE...`, where JOB is user, page or country. It writes the sorted result as JSON lines."""

import sys

import duckdb

job, out, *files = sys.argv[1:]
COLUMNS = {'user': {'user': 'VARCHAR', 'amount': 'DOUBLE'}, 'page': {'page': 'VARCHAR'}, 'country': {'country': 'VARCHAR', 'ts': 'BIGINT', 'amount': 'DOUBLE'}}
QUERIES = {
    'user': 'SELECT "user", count(*) AS n, sum(amount) AS s FROM clicks GROUP BY 1 ORDER BY 1',
    'page': 'SELECT page, count(*) AS n FROM clicks GROUP BY 1 ORDER BY 1',
    'country': 'SELECT country, ts // 60000 AS minute, count(*) AS n, sum(amount) AS s FROM clicks GROUP BY 1, 2 ORDER BY 1, 2',
}
duckdb.read_json(files, format='newline_delimited', columns=COLUMNS[job]).create_view('clicks')
duckdb.sql(f"COPY ({QUERIES[job]}) TO '{out}' (FORMAT json)")
