"""Brings the database's schema up to date. A release invokes it before its new functions.

{} or {"to": "head"}  ->  {"applied": ["0001", ...], "revision": "0003"}
"""

import os
from typing import Any

from services.platform import logging
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.migrations import HEAD, migrate, status
from services.platform.queue import Context, is_warmer

database = Database(read(DatabaseConfiguration, os.environ))
logging.configure()


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    if is_warmer(event):
        return {"warm": True}
    logging.clear()
    logging.bind(function=context.function_name, request_id=context.aws_request_id)
    applied = migrate(database, str(event.get("to") or HEAD))
    revision = status(database).revision
    logging.logger().info("database-migrated", applied=applied, revision=revision)
    return {"applied": applied, "revision": revision}
