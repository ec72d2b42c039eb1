"""Sends the receipt for a payment."""

import os
from dataclasses import replace

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.order_emails import OrderEmails
from services.mail.send_payment_receipt import ReceiptConfiguration, SendPaymentReceipt
from services.orders.store import Orders
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

mail_configuration, database_configuration, receipt_configuration = read_all(
    os.environ, MailConfiguration, DatabaseConfiguration, ReceiptConfiguration
)
if receipt_configuration.seller is None:
    receipt_configuration = replace(receipt_configuration, seller=mail_configuration.imprint)
orders = Orders(Database(database_configuration))
emails = OrderEmails(orders, make_outbox(mail_configuration))
handler = queue_function(SendPaymentReceipt(emails, receipt_configuration).handle)
