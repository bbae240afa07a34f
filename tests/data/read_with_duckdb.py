"""Reads the Parquet tables of a store with DuckDB, an independent reader, and checks the result.

Called by tests/format_tables.rs with the directory of its tables. DuckDB is the reader because it is the smaller to
install (one wheel of about 20 MB, 70 MB on disk; pyarrow takes 170 MB), and because docs/format.md speaks SQL.
"""

import os
import sys
from decimal import Decimal

import duckdb

os.chdir(sys.argv[1])
sql = duckdb.connect()


def types(table):
    return [(name, kind) for name, kind, *_ in sql.execute(f"DESCRIBE SELECT * FROM '{table}'").fetchall()]


def rows(query):
    return sql.execute(query).fetchall()


def expect(what, found, expected):
    assert found == expected, f"{what}:\n  expected {expected}\n  found    {found}"


expect(
    "columns of a segment",
    types("base.parquet"),
    [
        ("task", "UINTEGER"),
        ("key", "VARCHAR"),
        ("deleted", "BOOLEAN"),
        ("clicks", "BIGINT"),
        ("spent", "DECIMAL(38,18)"),
        ("city", "VARCHAR"),
        ("member", "BOOLEAN"),
        ("last", "JSON"),
        ("users", "BLOB"),
    ],
)
expect(
    "rows of a base",
    rows("SELECT * FROM 'base.parquet' LIMIT 3"),
    [
        (0, "ann", False, -7, Decimal("99999999999999999999.999999999999999999"), "Zürich", True, '{"a":[1,2]}', b"\x00\xff"),
        (0, "bob", False, None, None, None, None, None, None),
        (3, "u0000000", False, 0, Decimal("-0.010000000000000000"), "", False, "null", b""),
    ],
)
expect(
    "sums over a base",
    rows("SELECT count(*), sum(clicks), sum(spent), max(key) FROM 'base.parquet' WHERE task = 3"),
    [(50000, 1249975000, Decimal("-500.000000000000000000"), "u0049999")],
)
expect(
    "rows of a delta",
    rows("SELECT task, key, deleted, clicks FROM 'delta.parquet'"),
    [(0, "bob", True, None), (0, "eve", False, 1), (3, "u0000000", False, 100)],
)

# As described in docs/format.md.
sql.execute("SET VARIABLE chain = ['base.parquet', 'delta.parquet']")
expect(
    "state of a chain",
    rows(
        """
        SELECT * EXCLUDE (deleted, filename)
        FROM read_parquet(getvariable('chain'), filename = true)
        QUALIFY row_number() OVER (PARTITION BY task, key ORDER BY list_position(getvariable('chain'), filename) DESC) = 1
            AND NOT deleted
        ORDER BY task, key
        LIMIT 4
        """
    ),
    [
        (0, "ann", -7, Decimal("99999999999999999999.999999999999999999"), "Zürich", True, '{"a":[1,2]}', b"\x00\xff"),
        (0, "eve", 1, None, None, None, None, None),
        (3, "u0000000", 100, None, None, None, None, None),
        (3, "u0000001", 1, Decimal("-0.010000000000000000"), "", False, "null", b""),
    ],
)

expect(
    "columns of an index",
    types("index.parquet"),
    [
        ("shard", "UINTEGER"),
        ("level", "UINTEGER"),
        ("first_task", "UINTEGER"),
        ("last_task", "UINTEGER"),
        ("cut", "UBIGINT"),
        ("kind", "VARCHAR"),
        ("object", "VARCHAR"),
        ("bytes", "UBIGINT"),
        ("rows", "UBIGINT"),
        ("tombstones", "UBIGINT"),
        ("smallest_key", "VARCHAR"),
        ("largest_key", "VARCHAR"),
    ],
)
size = os.path.getsize
expect(
    "an index",
    rows(
        "SELECT * REPLACE ('objects/sha256/' || object[1:2] || '/' || right(object, 8) AS object)"
        " FROM 'index.parquet' WHERE shard = 2 ORDER BY level"
    ),
    [
        (2, 0, 32, 47, 18446744073709551614, "base", "objects/sha256/ba/.parquet", size("base.parquet"), 50002, 0, "ann", "u0049999"),
        (2, 1, 32, 47, 18446744073709551615, "delta", "objects/sha256/cb/.parquet", size("delta.parquet"), 3, 1, "bob", "u0000000"),
    ],
)

expect(
    "columns of positions",
    types("positions.parquet"),
    [
        ("partition", "VARCHAR"),
        ("task", "UINTEGER"),
        ("cut", "UBIGINT"),
        ("offset", "UBIGINT"),
        ("record", "UBIGINT"),
        ("ended", "BOOLEAN"),
        ("file_bytes", "UBIGINT"),
        ("fingerprint", "VARCHAR"),
    ],
)
expect(
    "positions",
    rows("SELECT * FROM 'positions.parquet'"),
    [
        ("-", 4, 9, 12, 2, True, None, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("data/ä.jsonl", None, 9, 1 << 40, 3, False, 1 << 41, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)

expect(
    "rows of an output",
    rows("SELECT * FROM 'output.parquet'"),
    [("insert", "ä", Decimal("0.500000000000000000"), 7), ("delete", "b", None, None)],
)
expect(
    "types of an output",
    types("output.parquet"),
    [("op", "VARCHAR"), ("user", "VARCHAR"), ("mean", "DECIMAL(38,18)"), ("users", "BIGINT")],
)
expect(
    "positions of a job that goes by time",
    rows("SELECT partition, event_time, watermark, epoch_ms(event_time) FROM 'timed_positions.parquet'"),
    [("a", 1795356000123, -1, __import__("datetime").datetime(2026, 11, 22, 14, 0, 0, 123000)), ("b", None, None, None)],
)
