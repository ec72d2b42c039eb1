"""The ways through a lab that need what the functions' roles grant: customers' ways and, where no
customer comes along, those of failures.

A way of a grant ends by itself or is stopped as soon as the grant's want was seen.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.accounts.model import Role
from services.accounts.users import Users
from services.client.api import Api
from services.events import images as image_events
from services.events.orders import OrderEventType, order_event, publish
from services.events.schedules import DETAIL_TYPE, SOURCE
from services.orders.model import Delivery, NewLine, NewOrder, Product
from services.orders.products import Products
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.payments.configuration import Provider
from services.payments.webhooks import SIGNATURE_HEADERS, sign
from services.platform.database import Database
from services.runtime.execution import Environment, Outcome
from services.runtime.function import Function
from tests.infrastructure import shopping
from tests.infrastructure.ground import WEBHOOK_SECRET, Ground, manifests
from tests.infrastructure.roles import Grant, Roles
from tests.support.photos import jpeg, scene

PRODUCT = "print-10x15-glossy"
# Of which there are none.
SCARCE = Product("print-9x13-glossy", "Print 9 x 13 cm", "glossy", 90, 130, 29, "EUR")
POLL_SECONDS = 0.1


class Stopped(Exception):  # noqa: N818
    """What the way was for has been seen."""


class LinkRefusedError(Exception):
    """A signed link or form was not taken: its signer had not the right to what it is for."""


@dataclass(frozen=True)
class Stage:
    """A lab at work: its parts, a signed-in customer, and a photo of theirs."""

    ground: Ground
    output: dict[str, Any]
    roles: Roles
    database: Database
    fresh: Callable[[str], None]
    api: Api
    photo: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.ground.cloud.client(service)


@dataclass
class Run:
    """One going of a way, for one grant (None: with all rights)."""

    stage: Stage
    grant: Grant | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    seconds: float = 60

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        """What `condition` finds. Raises Stopped, and AssertionError when it does not come."""
        give_up_at = time.monotonic() + self.seconds
        while not (found := condition()):
            if self.stop.wait(POLL_SECONDS):
                raise Stopped
            assert time.monotonic() < give_up_at, f"waited in vain: {what}"
        return found

    @property
    def api(self) -> Api:
        return self.stage.api

    # -- photos

    def upload(self, folder: Path) -> dict[str, Any]:
        """A new photo, developed."""
        upload = self.api.upload(new_photo(folder))
        image: dict[str, Any] = self.until(
            "a developed photo",
            lambda: (i := self.api.image_of(upload)) and i["status"] == "developed" and i,
        )
        return image | {"upload": upload}

    # -- orders

    def order(self, method: str = "sandbox-ok", product: str = PRODUCT, quantity: int = 1,
              image_id: str | None = None) -> str:  # fmt: skip
        line = {
            "product_id": product,
            "image_id": image_id or self.stage.photo["id"],
            "quantity": quantity,
        }
        return str(self.api.order([line], method, shopping.DELIVERY)["id"])

    def await_status(self, order_id: str, *statuses: str) -> None:
        self.until(
            f"order {order_id} {' or '.join(statuses)}",
            lambda: self.api.order_of(order_id)["status"] in statuses,
        )

    def tell(self, kind: OrderEventType, order_id: str, **facts: Any) -> None:
        """Publishes an event of an order, for the first time or again."""
        topic = self.stage.output["topics"]["order-events"]
        publish(self.stage.client("sns"), topic, order_event(kind, order_id, **facts))

    @contextmanager
    def held(self, function: str, action: str, sid: str | None = None) -> Iterator[None]:
        """With a function that cannot do its work, but goes on trying."""
        grant = self.stage.roles.grant(function, action, sid)
        with self.stage.roles.without(grant):
            self.stage.fresh(function)
            yield
        if action.startswith("secretsmanager:"):
            self.stage.fresh(function)

    @contextmanager
    def held_at_the_printer(self) -> Iterator[None]:
        with self.held("fulfill-order", "s3:PutObject"):
            yield


Way = Callable[[Run, Path], None]


def new_photo(folder: Path) -> Path:
    seed = uuid.uuid4().int % 2**31
    photo = folder / f"{seed}.jpg"
    photo.write_bytes(jpeg(scene(1200, 900, seed=seed)))
    return photo


# -- accounts


def join(run: Run, _folder: Path) -> None:
    """Signs up, in, and out."""
    with _somebody(run) as api:
        api.session()
        api.sign_out()


def leave_everywhere(run: Run, _folder: Path) -> None:
    with _somebody(run) as api:
        # On another device as well.
        api.sign_in(api.session()["user"]["email"], shopping.PASSWORD)
        api.sign_out(everywhere=True)


def stay(run: Run, _folder: Path) -> None:
    """Comes back after more than an hour, when the session is prolonged."""
    with _somebody(run) as api:
        token = hashlib.sha256(str(api.token).encode()).hexdigest()
        run.stage.client("dynamodb").update_item(
            TableName=run.stage.output["tables"]["sessions"],
            Key={"token_hash": {"S": token}},
            UpdateExpression="SET renewed_at = :long_ago",
            ExpressionAttributeValues={":long_ago": {"N": "1"}},
        )
        api.session()


def administer(run: Run, _folder: Path) -> None:
    with _somebody(run, Role.ADMINISTRATOR) as api:
        list(api.users())


@contextmanager
def _somebody(run: Run, role: Role | None = None) -> Iterator[Api]:
    """A new customer, signed in."""
    api = Api(run.api.url)
    email = f"{uuid.uuid4().hex}@darkroom.example"
    try:
        api.sign_up(email, "Somebody", shopping.PASSWORD)
        if role is not None:
            Users(run.stage.database).set_role(email, role)
        api.sign_in(email, shopping.PASSWORD)
        yield api
    finally:
        api.close()


# -- photos


def develop(run: Run, folder: Path) -> None:
    """Uploads a photo, and follows the links to what became of it."""
    try:
        image = run.upload(folder)
    except Exception as error:
        if "got 403" in str(error):
            raise LinkRefusedError(str(error)) from error
        raise
    listed = next(i for i in run.api.images() if i["id"] == image["id"])
    for found in (listed, run.api.image(image["id"])):
        for link in links(found):
            _follow(link)


def links(document: Any) -> Iterator[str]:
    """Every signed link in a document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from links(value)
    elif isinstance(document, list):
        for value in document:
            yield from links(value)
    elif isinstance(document, str) and "X-Amz-Signature=" in document:
        yield document


def _follow(link: str) -> None:
    try:
        with urllib.request.urlopen(link, timeout=10) as answer:
            assert answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 403:
            raise LinkRefusedError(f"got 403: {error.read()!r}") from error
        raise


def delete(run: Run, folder: Path) -> None:
    """Deletes a photo: its originals, its renditions and its record go."""
    image = run.upload(folder)
    run.api.delete_image(image["id"])
    table = run.stage.output["tables"]["images"]
    owner = run.api.session()["user"]["id"]
    run.until(
        "the record to go",
        lambda: "Item" not in run.stage.client("dynamodb").get_item(
            TableName=table, Key={"owner": {"S": owner}, "item": {"S": f"image#{image['id']}"}}
        ),
    )  # fmt: skip


def hear_of_a_photo_twice(run: Run, _folder: Path) -> None:
    photo = run.stage.photo
    event = image_events.ImageEvent(
        id=uuid.uuid4().hex,
        type=image_events.ImageEventType.DEVELOPED,
        time="2026-01-01T00:00:00.000Z",
        owner=run.api.session()["user"]["id"],
        image_id=photo["id"],
        source_key="a/b/c.jpg",
        filename="c.jpg",
        recipient=shopping.EMAIL,
        width=photo.get("width") or 640,
        height=photo.get("height") or 480,
    )
    topic = run.stage.output["topics"]["image-events"]
    for _ in range(2):
        image_events.publish(run.stage.client("sns"), topic, event)


def mail_refused(function: str, way: Way) -> Way:
    """`way` with an SES that takes no e-mail of `function`'s."""

    def refused(run: Run, folder: Path) -> None:
        with run.held(function, "ses:SendRawEmail"):
            way(run, folder)
            run.until("the end", lambda: False)

    return refused


# -- orders


def ship(run: Run, _folder: Path) -> None:
    run.api.products()
    list(run.api.orders())
    order_id = run.order()
    run.await_status(order_id, "shipped")


def start_late(run: Run, _folder: Path) -> None:
    """An order that nobody started, and the schedule's next message."""
    orders = Orders(run.stage.database)
    line = NewLine(PRODUCT, run.stage.photo["id"], 1)
    user = run.api.session()["user"]
    new = NewOrder(user["id"], user["email"], (line,), "sandbox-ok", Delivery(**shopping.DELIVERY))
    order_id = orders.create(new).id
    with run.stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET created_at = created_at - %s WHERE id = %s",
            [2 * INTERRUPTED_AFTER, order_id],
        )
    run.stage.client("sqs").send_message(
        QueueUrl=run.stage.output["queues"]["start-orders"]["url"],
        MessageBody=json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE}),
    )
    run.await_status(order_id, "shipped")


def ship_paid_twice(run: Run, _folder: Path) -> None:
    run.await_status(run.order("sandbox-double"), "shipped")


def hear_of_an_order_again(run: Run, _folder: Path) -> None:
    order_id = run.order()
    run.await_status(order_id, "shipped")
    for kind in (OrderEventType.CREATED, OrderEventType.PAYMENT_RECEIVED, OrderEventType.SHIPPED):
        run.tell(kind, order_id)


def hear_of_a_problem_again(run: Run, _folder: Path) -> None:
    order_id = run.order("sandbox-declined")
    run.await_status(order_id, "payment_declined")
    for _ in range(2):
        run.tell(OrderEventType.PAYMENT_DECLINED, order_id)


def out_of_stock(run: Run, _folder: Path) -> None:
    Products(run.stage.database).offer(SCARCE)
    run.await_status(run.order(product=SCARCE.id), "out_of_stock")


def declined(run: Run, _folder: Path) -> None:
    run.await_status(run.order("sandbox-declined"), "payment_declined")


def rejected(run: Run, _folder: Path) -> None:
    run.await_status(run.order(image_id="0" * 32), "rejected")


def cancel(run: Run, _folder: Path) -> None:
    """Cancels an order that is paid, of which something lies ready for the printer."""
    with run.held_at_the_printer():
        order_id = run.order()
        run.await_status(order_id, "paid")
        _lay_ready(run, order_id)
        run.api.cancel_order(order_id)
        run.until("the money back", lambda: _settled(run, order_id))


def fail(run: Run, _folder: Path) -> None:
    """An order whose provider is away for longer than anybody waits."""
    order_id = run.order("sandbox-unavailable")
    _lay_ready(run, order_id)
    run.await_status(order_id, "failed")


def provider_refuses(way: Way, function: str) -> Way:
    """`way` with a provider that does not know the lab's key, as `function` has it."""

    def refused(run: Run, folder: Path) -> None:
        secrets = run.stage.client("secretsmanager")
        arn = run.stage.output["functions"][function]["environment"]["PAYMENTS_SECRET_ARN"]
        known = secrets.get_secret_value(SecretId=arn)["SecretString"]
        wrong = json.dumps({**json.loads(known), "api_key": "not-the-one"})
        secrets.put_secret_value(SecretId=arn, SecretString=wrong)
        run.stage.fresh(function)
        try:
            with suppress(AssertionError):
                way(run, folder)
        finally:
            secrets.put_secret_value(SecretId=arn, SecretString=known)
            run.stage.fresh(function)

    return refused


def pay_too_late(run: Run, _folder: Path) -> None:
    """The provider's word comes for an order that was given up, and before anybody else gave its
    money back."""
    with ExitStack() as stack:
        stack.enter_context(run.held_at_the_printer())
        stack.enter_context(
            run.held("fail-order", "secretsmanager:GetSecretValue", "SecretDatabase")
        )
        order_id = run.order("sandbox-webhook-lost")
        run.await_status(order_id, "paid")
        run.api.cancel_order(order_id)
        run.tell(OrderEventType.PAYMENT_RECEIVED, order_id)
        run.until("the money back", lambda: _settled(run, order_id))


def exhaust(function: str, way: Way) -> Way:
    """`way` with a step that fails until its queue gives up."""

    def exhausted(run: Run, folder: Path) -> None:
        held = run.held(function, "secretsmanager:GetSecretValue", "SecretDatabase")
        with held, suppress(AssertionError):
            way(run, folder)
            run.until("the end", lambda: False)

    return exhausted


def notice(run: Run, _folder: Path) -> None:
    """The provider tells of a payment, twice."""
    order_id = run.order()
    run.await_status(order_id, "shipped")
    payment = {"id": "pay_x", "order_id": order_id, "amount_minor": 39, "currency": "EUR"}
    body = json.dumps(
        {"id": f"evt_{uuid.uuid4().hex}", "type": "payment.received",
         "created": int(time.time()), "payment": payment}
    ).encode()  # fmt: skip
    (path,) = [m.http.path for m in manifests() if m.http and m.name == "receive-payment"]
    for _ in range(2):
        request = urllib.request.Request(
            run.api.url + path,
            data=body,
            headers={
                "content-type": "application/json",
                SIGNATURE_HEADERS[Provider.SANDBOX]: sign(WEBHOOK_SECRET, body, time.time()),
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def notice_untold(run: Run, folder: Path) -> None:
    """The provider tells of a payment that cannot be told of in the lab."""
    with run.held("receive-payment", "sns:Publish"):
        notice(run, folder)


def migrate(run: Run, _folder: Path) -> None:
    """A release brings the schema up to date."""
    (item,) = [m for m in manifests() if m.name == "migrate-database"]
    function = Function(
        name=item.name, folder=item.folder, memory_mib=item.memory_mib,
        timeout_seconds=item.timeout_seconds, arn=run.stage.output["functions"][item.name]["name"],
        init_seconds=30,
        variables={
            **run.stage.ground.cloud.environment,
            **run.stage.output["functions"][item.name]["environment"],
            **run.stage.roles.credentials(item.name),
        },
    )  # fmt: skip
    environment = Environment(function)
    environment.start()
    try:
        assert environment.ready()
        done = environment.invoke(b"{}")
    finally:
        environment.close()
    if done.outcome is not Outcome.SUCCESS:
        raise InvocationFailedError(done.error_message)


class InvocationFailedError(Exception):
    """What a function that is called directly answered."""


# -- queues


def garbage(function: str) -> Way:
    """A message that is no work at all: it is kept as a dead letter."""

    def send(run: Run, _folder: Path) -> None:
        queue = run.stage.output["queues"][function]
        run.stage.client("sqs").send_message(QueueUrl=queue["url"], MessageBody="no event")

    return send


def garbage_that_cannot_be_kept(function: str) -> Way:
    """The same, with no dead letter queue at hand: it is tried again later."""

    def send(run: Run, folder: Path) -> None:
        with run.held(function, "sqs:SendMessage"):
            garbage(function)(run, folder)
            run.until("the end", lambda: False)

    return send


# -- helpers


def _lay_ready(run: Run, order_id: str) -> None:
    """A print file of an order, as a printing that was cut off leaves it."""
    owner = run.api.session()["user"]["id"]
    run.stage.client("s3").put_object(
        Bucket=run.stage.output["buckets"]["prints"],
        Key=f"{owner}/{order_id}/09-left-behind.jpg",
        Body=b"left",
    )


def _settled(run: Run, order_id: str) -> bool:
    with run.stage.database.transaction() as cursor:
        cursor.execute("SELECT 1 FROM orders WHERE id = %s AND settled_at IS NOT NULL", [order_id])
        return cursor.fetchone() is not None
