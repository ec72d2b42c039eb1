"""Migrates the database. A release invokes it before it deploys new functions.

{} or {"to": "head"}  ->  {"applied": ["0001", ...], "revision": "0003"}
"""

import os
from typing import Any

from services.platform import log
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import Context, is_warmer
from services.schema.migrate_database import MigrateDatabase

database = Database(read(DatabaseConfiguration, os.environ))
migrate = MigrateDatabase(database)
log.configure()


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    if is_warmer(event):
        return {"warm": True}
    log.clear()
    log.bind(function=context.function_name, request_id=context.aws_request_id)
    return migrate.handle(event)
