"""Marks an order as shipped, and tells the customer by e-mail."""

import os

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.order_emails import OrderMailer
from services.orders.ship_order import ShipOrder
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import Message, queue_function

of_mail, of_database = read_all(os.environ, MailConfiguration, DatabaseConfiguration)
orders = Orders(Database(of_database))
ship = ShipOrder(orders)
mailer = OrderMailer(orders, make_outbox(of_mail, client("ses"), client("dynamodb")))


def ship_and_tell(message: Message) -> None:
    ship.handle(message)
    mailer.handle(message)


handler = queue_function(ship_and_tell)
