"""Sends the e-mail about an order that is not printed."""

import os

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.order_emails import OrderEmails
from services.mail.send_order_problem import SendOrderProblem
from services.orders.store import Orders
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

mail_configuration, database_configuration = read_all(
    os.environ, MailConfiguration, DatabaseConfiguration
)
orders = Orders(Database(database_configuration))
emails = OrderEmails(orders, make_outbox(mail_configuration))
handler = queue_function(SendOrderProblem(emails).handle)
