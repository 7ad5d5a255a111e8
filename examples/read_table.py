"""Print a Delta table of the platform: read_table.py s3://bucket/table ["SELECT … FROM rows"]

Run by "$DRYDOCK_HOME"/envs/workspace/bin/python; like any program it finds the platform by what `make -s env` exports.
"""

import sys

import duckdb
from deltalake import DeltaTable, QueryBuilder

uri, query = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "SELECT * FROM rows"
table = DeltaTable(uri, storage_options={"allow_http": "true"})
rows = QueryBuilder().register("rows", table).execute("SELECT * FROM rows")
print(duckdb.sql(query))
