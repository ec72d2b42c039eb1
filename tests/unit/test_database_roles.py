"""Functions have roles in Postgres, and revisions grant them what they add."""

from __future__ import annotations

import re

from services.schema.migrate_database import FOLDER
from tests.support.declarations import manifests

# It creates the roles, as the owner of the schema.
OWNER = {"migrate-database"}
ROLES_REVISION = "0003"


def test_every_function_with_the_database_takes_a_role_that_a_revision_creates() -> None:
    revisions = [path.read_text(encoding="utf-8") for path in (FOLDER / "versions").glob("*.py")]
    roles = set(re.findall(r'"(darkroom_\w+)"', "".join(revisions)))
    for manifest in manifests():
        if "DATABASE_URL" in manifest.environment and manifest.name not in OWNER:
            assert manifest.environment.get("DATABASE_ROLE") in roles, manifest.name


def test_every_later_revision_that_adds_a_table_or_column_grants_it() -> None:
    for path in sorted((FOLDER / "versions").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        adds = re.search(r"CREATE TABLE|ADD COLUMN", text)
        if path.name > f"{ROLES_REVISION}_" and not path.name.startswith(ROLES_REVISION) and adds:
            assert "GRANT " in text, f"{path.name}: grant what it adds to the functions' roles"
