"""Migrates the database. A release invokes it before it deploys new functions.

{} or {"to": "head"}     ->  {"applied": ["0001", ...], "revision": "0003", "pending": []}
{"to": "before-contract"}  ->  leaves what functions of the release before need
"""

import os

from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.invocation import plain_function
from services.schema.migrate_database import MigrateDatabase

database = Database(read(DatabaseConfiguration, os.environ))
handler = plain_function(MigrateDatabase(database).handle)
