"""Postgres is restarted under load: 503s only while it restarts, and no leaked connection."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.accounts.model import Role
from services.local.lab import running
from services.local.parts import API_CONCURRENCY
from services.local.state import LabState
from tests.integration.api.conftest import PASSWORD, Customer, forget_attempts
from tests.support.waiting import HTTP_SECONDS, scaled

REQUESTS_PER_SECOND = 50
# One for each environment: those that wait for a busy one would be refused without Postgres too.
IN_FLIGHT = API_CONCURRENCY
SECONDS = 12
RESTARTS_AT = (2.0, 5.0, 8.0)
# From the kill: the supervisor restarts Postgres, which then recovers from its log.
GAP_SECONDS = 2.0
# A response later than this after the restart counts as an error of ours.
CALM_SECONDS = 1.0


def postgres_pid(lab: LabState) -> int:
    now = running(Path(lab.mail_folder).parent)
    assert now is not None
    (child,) = [c for c in now.children if c.name == "postgres"]
    return child.pid


def connections(lab: LabState) -> Counter[str]:
    """Function to its number of connections."""
    database = lab.database()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT application_name, count(*) FROM pg_stat_activity "
            "WHERE usename = current_user AND pid <> pg_backend_pid() GROUP BY 1"
        )
        found = Counter(dict(cursor.fetchall()))
    database.close()
    return found


def environments(lab: LabState) -> dict[str, int]:
    functions = httpx.get(f"{lab.api}/_darkroom/health").json()["functions"]
    return {about["name"]: about["environments"]["alive"] for about in functions}


@pytest.mark.slow
def test_database_restarts_under_load_answer_only_503(
    lab: LabState, new_customer: Callable[..., Customer]
) -> None:
    administrator = new_customer(Role.ADMINISTRATOR)
    headers = {"authorization": f"Bearer {administrator.api.token}"}
    answers: list[tuple[float, int, str]] = []
    most: Counter[str] = Counter()
    started = time.monotonic()
    over = threading.Event()

    def request(client: httpx.Client, number: int) -> None:
        at = started + number / REQUESTS_PER_SECOND
        time.sleep(max(0.0, at - time.monotonic()))
        answer = client.get(f"{lab.api}/users", params={"limit": "5"}, headers=headers)
        retry_after = answer.headers.get("retry-after", "")
        answers.append((time.monotonic() - started, answer.status_code, retry_after))

    kills: list[float] = []

    def restart() -> None:
        for at in RESTARTS_AT:
            time.sleep(max(0.0, started + at - time.monotonic()))
            kills.append(time.monotonic() - started)
            os.kill(postgres_pid(lab), signal.SIGINT)  # a fast shutdown

    def watch() -> None:
        while not over.wait(0.5):
            try:
                for name, count in connections(lab).items():
                    most[name] = max(most[name], count)
            except Exception:  # noqa: BLE001, S112  Postgres is just away
                continue

    with (
        httpx.Client(
            timeout=scaled(HTTP_SECONDS), limits=httpx.Limits(max_connections=IN_FLIGHT)
        ) as client,
        ThreadPoolExecutor(IN_FLIGHT) as pool,
    ):
        helpers = [threading.Thread(target=restart), threading.Thread(target=watch)]
        for helper in helpers:
            helper.start()
        list(pool.map(lambda n: request(client, n), range(REQUESTS_PER_SECOND * SECONDS)))
        over.set()
        for helper in helpers:
            helper.join()

    statuses = Counter(status for _, status, _ in answers)
    assert len(answers) == REQUESTS_PER_SECOND * SECONDS
    assert set(statuses) <= {200, 503}, statuses
    assert len(kills) == len(RESTARTS_AT)
    assert all(retry_after for _, status, retry_after in answers if status == 503)
    late = [
        round(at, 2)
        for at, status, _ in answers
        if status == 503
        and not any(kill - 0.1 <= at <= kill + GAP_SECONDS + CALM_SECONDS for kill in kills)
    ]
    assert not late, f"503s outside the gaps after {kills}: {late}"
    assert statuses[200] > statuses[503]

    # One connection an environment, and none of an ended environment.
    alive = environments(lab)
    for name, count in (connections(lab) | most).items():
        if name in alive:
            assert count <= max(alive[name], 1), (name, count, alive)
    forget_attempts(lab)
    assert administrator.api.sign_in(administrator.email, PASSWORD)
