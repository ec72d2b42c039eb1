"""Marks an order as shipped, and sends the e-mail about it."""

import os

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.order_emails import OrderEmails
from services.mail.send_order_shipped import SendOrderShipped
from services.orders.ship_order import ShipOrder
from services.orders.store import Orders
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

mail_configuration, database_configuration = read_all(
    os.environ, MailConfiguration, DatabaseConfiguration
)
orders = Orders(Database(database_configuration))
emails = OrderEmails(orders, make_outbox(mail_configuration))
handler = queue_function(SendOrderShipped(ShipOrder(orders), emails).handle)
