"""Photos and orders in a running lab while a seeded sequence of faults hits it: afterwards every
photo and every order is settled once.

DARKROOM_FAULT_SEEDS names other seeds: "1,2,3" or "1-20".
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.client.api import Api
from services.events.storage import backfill_event
from services.load_test.unconfirmed_emails import is_unconfirmed
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.parts import GATEWAY, WORKER
from services.local.state import LabFiles
from services.monitoring import dead_letters
from services.platform.database import Database
from services.platform.errors import TransientError
from tests.support import order_lab
from tests.support.emulator_mail import emulator_with_mailbox
from tests.support.fault_proxy import Fault, FaultProxy, Rule, fault_proxy
from tests.support.jumping_clock import READ_SECONDS, JumpingClock, jumping_clock
from tests.support.order_lab import DELIVERY, PRICE_MINOR, OrderLab, await_empty
from tests.support.photos import jpeg, scene
from tests.support.waiting import Value, eventually, scaled

pytestmark = pytest.mark.slow

PHOTOS, ORDERS, FAULTS = 12, 8, 10
STOCK = 100
RESTARTS = 3
SETTLE_SECONDS = 300
# The share of requests that a bad minute of AWS hits, and how long it lasts.
BAD_SHARE, BAD_SECONDS = 0.2, 1.5
FROZEN_SECONDS = 2.0
REORDER_SECONDS = 4
# Longer than any lease of the lab; AWS refuses requests that are signed 5 minutes off.
OFFSETS_SECONDS = (-240, -40, 40, 240)
POISON = "a body that no function can read"
# S3's actions are not named in requests; the others are those that functions use most.
ACTIONS = ("", "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "Publish",
           "GetItem", "PutItem", "UpdateItem", "TransactWriteItems", "SendTaskSuccess")  # fmt: skip
ENDS = {"shipped", "rejected", "out_of_stock", "payment_declined", "cancelled", "failed"}


class Kind(StrEnum):
    """What happens to the lab. AWS is slow, fails or loses answers for `BAD_SECONDS`."""

    KILL_WORKER = "SIGKILL of the worker host and its environments"
    KILL_ENVIRONMENTS = "SIGKILL of all execution environments of queues"
    FREEZE_WORKER = "SIGSTOP of the worker host and its environments"
    KILL_GATEWAY = "SIGKILL of the gateway and its environments"
    KILL_PROVIDER = "SIGKILL of the payment provider"
    RESTART_DATABASE = "fast shutdown of Postgres under load"
    SLOW_AWS = "slow answers"
    FAILED_AWS = "500 and 503"
    LOST_AWS = "lost answers"
    DUPLICATE = "waiting messages come twice"
    BACKFILL = "an operator sends events for photos that are there"
    POISON = "messages that no function can read"
    REORDER = "waiting messages come in another order, and later"
    DISK_FULL = "no file of the worker host and its environments can grow"
    CLOCKS = "the clocks of the lab's processes jump, one after the other, and back"


@dataclass(frozen=True)
class World:
    lab: OrderLab
    proxy: FaultProxy
    clock: JumpingClock


def seeds() -> list[int]:
    text = os.environ.get("DARKROOM_FAULT_SEEDS", "1-3")
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(n) for n in text.split(",")]


@contextmanager
def every_photo_has_an_email() -> Iterator[None]:
    """Sets no limit of e-mails about photos: all photos of a seed have one owner."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAIL_PHOTOS_PER_DAY", "0")
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A lab on an emulator of its own, which all functions reach through the proxy. E-mails go to
    the lab's mail folder."""
    folder: Path = tmp_path_factory.mktemp("faults")
    with (
        every_photo_has_an_email(),
        emulator_with_mailbox(folder, LabFiles(folder / "lab").mail) as cloud,
        fault_proxy(cloud.endpoint, slow_seconds=0.7) as proxy,
        jumping_clock(folder) as clock,
        order_lab.order_lab(folder / "lab", LabOptions(cloud=proxy.url)) as lab,
    ):
        yield World(lab, proxy, clock)
    assert [p.info for p in psutil.process_iter(["cmdline"]) if runs_in(folder, p)] == []


def runs_in(folder: Path, process: psutil.Process) -> bool:
    return any(str(folder) in word for word in process.info["cmdline"] or ())


def cause(world: World, kind: Kind, chance: random.Random) -> None:
    lab, proxy = world.lab, world.proxy
    match kind:
        case Kind.KILL_WORKER:
            lab.kill(WORKER)
        case Kind.KILL_ENVIRONMENTS:
            order_lab.kill(lab.processes(WORKER)[1:])
        case Kind.FREEZE_WORKER:
            frozen = lab.processes(WORKER)
            signal_all(frozen, signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)
            signal_all(frozen, signal.SIGCONT)
        case Kind.KILL_GATEWAY:
            lab.kill(GATEWAY)
        case Kind.KILL_PROVIDER:
            lab.kill("payment-provider")
        case Kind.RESTART_DATABASE:
            signal_all(lab.processes("postgres")[:1], signal.SIGINT)
        case Kind.SLOW_AWS:
            bad_minute(proxy, [Fault.SLOW])
        case Kind.FAILED_AWS:
            bad_minute(proxy, [Fault.FAILED, Fault.UNAVAILABLE])
        case Kind.LOST_AWS:
            bad_minute(proxy, [Fault.LOST])
        case Kind.DUPLICATE:
            duplicate(lab)
        case Kind.BACKFILL:
            backfill(lab)
        case Kind.POISON:
            queues = lab.state.queues
            function = chance.choice(sorted(queues))
            lab.state.session.client("sqs").send_message(
                QueueUrl=queues[function].url, MessageBody=POISON
            )
        case Kind.REORDER:
            reorder(lab, chance)
        case Kind.DISK_FULL:
            full_disk(lab)
        case Kind.CLOCKS:
            world.clock.jump(chance.choice(OFFSETS_SECONDS))
            time.sleep(chance.uniform(1, 2) * READ_SECONDS)
            world.clock.jump(0)


def reorder(lab: OrderLab, chance: random.Random) -> None:
    """Gives what waits in each queue back after a time of its own."""
    sqs = lab.state.session.client("sqs")
    for url, message in waiting(lab, REORDER_SECONDS):
        sqs.change_message_visibility(
            QueueUrl=url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=chance.randint(0, REORDER_SECONDS),
        )


def duplicate(lab: OrderLab) -> None:
    """Sends a copy of what waits in each queue."""
    sqs = lab.state.session.client("sqs")
    for url, message in waiting(lab, visible_again_seconds=0):
        sqs.send_message(
            QueueUrl=url,
            MessageBody=message["Body"],
            MessageAttributes=message.get("MessageAttributes", {}),
        )


def waiting(lab: OrderLab, visible_again_seconds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Up to ten messages of each queue, and the queue's URL. They are received for so long."""
    sqs = lab.state.session.client("sqs")
    for queue in lab.state.queues.values():
        taken = sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=visible_again_seconds,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
        )
        for message in taken.get("Messages", ()):
            yield queue.url, message


def full_disk(lab: OrderLab) -> None:
    """A limit of the size of files, since a full disk takes a mount of its own, and so root. Writes
    fail with EFBIG in place of ENOSPC."""
    limit_files(lab.processes(WORKER), 0)
    time.sleep(BAD_SECONDS)
    # The host first: what it starts has its limit.
    limit_files(lab.processes(WORKER), resource.RLIM_INFINITY)
    limit_files(lab.processes(WORKER), resource.RLIM_INFINITY)


def limit_files(processes: Sequence[psutil.Process], size_bytes: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            _, hard = process.rlimit(resource.RLIMIT_FSIZE)
            # A process that decodes photos may write no file at any time.
            if hard == resource.RLIM_INFINITY:
                process.rlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))


def bad_minute(proxy: FaultProxy, faults: Sequence[Fault]) -> None:
    share = BAD_SHARE / len(faults)
    proxy.rules = [Rule(action, fault, share) for action in ACTIONS for fault in faults]
    time.sleep(BAD_SECONDS)
    proxy.rules = ()


def signal_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def backfill(lab: OrderLab) -> None:
    state = lab.state
    bucket = state.buckets["originals"]
    sqs, url = state.session.client("sqs"), state.queues["process-image"].url
    for item in state.session.client("s3").list_objects_v2(Bucket=bucket).get("Contents", []):
        sqs.send_message(
            QueueUrl=url,
            MessageBody=backfill_event(
                bucket, item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"]
            ),
        )


def persistently(call: Callable[[], Value]) -> Value:
    """Repeats the call while the lab is away, as a customer does."""
    give_up_at = time.monotonic() + scaled(SETTLE_SECONDS)
    while True:
        try:
            return call()
        except TransientError:
            assert time.monotonic() < give_up_at
            time.sleep(0.2)


def upload(lab: OrderLab, path: Path) -> str:
    """Uploads a photo by one form; the upload's id."""
    with closing(lab.api()) as api:
        form = persistently(lambda: api.upload_form(path))
        persistently(lambda: api.post_form(form, path))
        return str(form["id"])


def order(lab: OrderLab, product: str, key: str) -> str:
    """Orders a print; the order's id."""
    with closing(lab.api()) as api:
        made = persistently(lambda: api.order([lab.line(product)], "sandbox-ok", DELIVERY, key))
        return str(made["id"])


def settled_image(lab: OrderLab, upload_id: str) -> dict[str, Any]:
    def image(api: Api) -> dict[str, Any] | None:
        found = persistently(lambda: api.image_of(upload_id))
        return found if found and found["status"] != "developing" else None

    with closing(lab.api()) as api:
        return eventually(lambda: image(api), f"upload {upload_id}", SETTLE_SECONDS) or {}


def ended_order(lab: OrderLab, order_id: str) -> dict[str, Any]:
    def ended(api: Api) -> dict[str, Any] | None:
        found = persistently(lambda: api.order_of(order_id))
        return found if found["status"] in ENDS else None

    with closing(lab.api()) as api:
        return eventually(lambda: ended(api), f"order {order_id}", SETTLE_SECONDS) or {}


def process_dead_letters(lab: OrderLab, poison: int) -> None:
    """As an operator does: discards poison, and e-mails of unknown outcome that were sent; replays
    the rest, until no dead letter is left."""
    sqs, queues = lab.state.session.client("sqs"), lab.state.queues
    discarded = 0
    for _ in range(5):
        await_empty(lab, SETTLE_SECONDS)
        letters = dead_letters.peek(sqs, queues)
        if not letters:
            break
        sent = {mail.event_id for mail in sent_mails(LabFiles(lab.root).mail)}
        bad = [one.message_id for one in letters if one.body == POISON]
        done = [
            one.message_id
            for one in letters
            if is_unconfirmed(one) and any(event in one.body for event in sent)
        ]
        discarded += len(bad)
        if bad + done:
            dead_letters.discard(sqs, queues, bad + done)
        rest = [one.message_id for one in letters if one.message_id not in {*bad, *done}]
        if rest:
            dead_letters.replay(sqs, queues, rest)
    assert dead_letters.peek(sqs, queues) == []
    assert discarded == poison, "poison is a dead letter, each once"


@pytest.mark.parametrize("seed", seeds())
def test_random_faults_lose_and_double_nothing(
    world: World, seed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(seed)
    # Every seed has these; the rest of its faults is drawn.
    kinds = [
        Kind.POISON, Kind.DUPLICATE, Kind.BACKFILL, Kind.REORDER, Kind.DISK_FULL, Kind.CLOCKS,
    ]  # fmt: skip
    kinds += chance.sample(list(Kind), FAULTS - len(kinds))
    chance.shuffle(kinds)
    record_property("faults", ", ".join(kind.name for kind in kinds))
    lab = world.lab
    product = persistently(lambda: lab.product(STOCK))
    names = [f"seed{seed}-{number}.jpg" for number in range(PHOTOS)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(scene(900, 600, seed=1000 * seed + number)))

    with ThreadPoolExecutor(6) as pool:
        uploads = [pool.submit(upload, lab, tmp_path / name) for name in names]
        orders = [pool.submit(order, lab, product, f"seed{seed}-{n}") for n in range(ORDERS)]
        for kind in kinds:
            time.sleep(chance.uniform(0.3, 1.5))
            cause(world, kind, chance)
        images = [settled_image(lab, future.result()) for future in uploads]
        ended = [ended_order(lab, future.result()) for future in orders]
    process_dead_letters(lab, kinds.count(Kind.POISON))

    check_photos(lab, images, names)
    check_orders(lab, ended, product)
    with closing(lab.state.database()) as database:
        eventually(lambda: not open_transactions(database), "no open transaction")


def test_clocks_of_functions_jump(world: World) -> None:
    """Or the fault CLOCKS would show nothing."""
    log = LabFiles(world.lab.root).log(GATEWAY)

    def seconds_ahead() -> float:
        """By the last line that a function logged, after a call."""
        with closing(world.lab.api()) as api:
            next(api.images())
        lines = [line for line in log.read_text("utf-8").splitlines() if "cold_start" in line]
        logged = datetime.fromisoformat(json.loads(lines[-1])["timestamp"])
        return (logged - datetime.now(UTC)).total_seconds()

    world.clock.jump(240)
    try:
        eventually(lambda: seconds_ahead() > 120, "a call from the future")
    finally:
        world.clock.jump(0)
    eventually(lambda: abs(seconds_ahead()) < 60, "a call of now")


def test_emulator_that_restarts_with_its_state_loses_no_photo(tmp_path: Path) -> None:
    """Photos only: the emulator does not go on with the executions of a workflow."""
    root = tmp_path / "lab"
    names = [f"restarted-{number}.jpg" for number in range(PHOTOS)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(scene(900, 600, seed=number)))
    with (
        every_photo_has_an_email(),
        emulator_with_mailbox(tmp_path, LabFiles(root).mail, tmp_path / "cloud") as cloud,
        order_lab.order_lab(root, LabOptions(cloud=cloud.endpoint)) as lab,
        ThreadPoolExecutor(2) as pool,
    ):
        uploads = []
        for name in names:
            uploads.append(pool.submit(upload, lab, tmp_path / name))
            if len(uploads) % (PHOTOS // RESTARTS) == 0:
                uploads[-2].result()
                cloud.restart()
        images = [settled_image(lab, future.result()) for future in uploads]
        await_empty(lab, SETTLE_SECONDS)
        check_photos(lab, images, names)
        assert dead_letters.peek(lab.state.session.client("sqs"), lab.state.queues) == []


def check_photos(lab: OrderLab, images: list[dict[str, Any]], names: list[str]) -> None:
    """Each upload is one image, and its owner has one e-mail about it."""
    assert Counter(name for image in images for name in image["filenames"]) == Counter(names)
    assert len({image["id"] for image in images}) == len(names)
    subjects = [mail.subject for mail in sent_mails(LabFiles(lab.root).mail)]
    mails = {name: [s for s in subjects if s.endswith(name)] for name in names}
    assert {name: len(found) for name, found in mails.items()} == dict.fromkeys(names, 1), mails


def check_orders(lab: OrderLab, ended: list[dict[str, Any]], product: str) -> None:
    """Each order has one end, is paid once if it was shipped and else not at all, and sent each of
    its e-mails once. The stock is right."""
    assert len({found["id"] for found in ended}) == ORDERS
    shipped = [found for found in ended if found["status"] == "shipped"]

    def balanced() -> bool:
        kept = {found["id"]: lab.payment(found["id"]).kept for found in ended}
        stock = lab.stock(product)
        return kept == {
            found["id"]: PRICE_MINOR if found in shipped else 0 for found in ended
        } and (stock.sold, stock.reserved, stock.on_hand) == (
            len(shipped), 0, STOCK - len(shipped),
        )  # fmt: skip

    eventually(balanced, "payments and stock as the orders say")
    for found in ended:
        assert lab.payment(found["id"]).charged <= 1
        statuses = [step["status"] for step in found["history"]]
        assert len(statuses) == len(set(statuses)), "a status was entered twice"
        mails = Counter(lab.mails(found["id"]))
        assert set(mails.values()) == {1}, mails


def open_transactions(database: Database) -> list[Any]:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND pid <> pg_backend_pid()"
        )
        return list(cursor.fetchall())
