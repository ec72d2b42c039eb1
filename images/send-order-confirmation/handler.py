"""Tells a customer by e-mail that an order has come in."""

import os

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.order_emails import OrderMailer
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

of_mail, of_database = read_all(os.environ, MailConfiguration, DatabaseConfiguration)
mailer = OrderMailer(
    Orders(Database(of_database)), make_outbox(of_mail, client("ses"), client("dynamodb"))
)
handler = queue_function(mailer.handle)
