"""Moves an order to paid when the payment provider confirms its payment."""

import os

from services.orders.record_payment import RecordPayment
from services.orders.store import Orders
from services.payments.configuration import PaymentsConfiguration
from services.payments.factory import ChargingConfiguration, lazy_charging
from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

of_database, of_charging, of_payments = read_all(
    os.environ, DatabaseConfiguration, ChargingConfiguration, PaymentsConfiguration
)
charging = lazy_charging(of_charging, of_payments, client("dynamodb"), client("secretsmanager"))
handler = queue_function(RecordPayment(Orders(Database(of_database)), charging).handle)
