"""The batch job in DuckDB and Polars: `engines.py duckdb|polars DIR`, count and sum of the amount for each user."""

import glob
import sys

engine, directory = sys.argv[1:]
files = sorted(glob.glob(directory + '/*.jsonl'))
if engine == 'duckdb':
    import duckdb

    columns = {'user': 'VARCHAR', 'amount': 'DOUBLE'}
    duckdb.read_json(files, format='newline_delimited', columns=columns).create_view('clicks')
    users = duckdb.sql('CREATE TABLE users AS SELECT "user", count(*) AS clicks, sum(amount) AS spent FROM clicks GROUP BY "user"')
    print(duckdb.sql('SELECT count(*) FROM users').fetchall()[0][0])
else:
    import polars

    clicks = polars.scan_ndjson(files, schema={'user': polars.String, 'amount': polars.Float64})
    users = clicks.group_by('user').agg(polars.len().alias('clicks'), polars.col('amount').sum())
    print(users.collect(engine='streaming').height)
