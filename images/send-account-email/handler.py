"""Sends the e-mails about accounts."""

import os

from services.accounts.address_codes import AddressCodes
from services.accounts.users import Users
from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.send_account_email import SendAccountEmail
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

mail_configuration, database_configuration = read_all(
    os.environ, MailConfiguration, DatabaseConfiguration
)
database = Database(database_configuration)
handler = queue_function(
    SendAccountEmail(
        AddressCodes(database), Users(database), make_outbox(mail_configuration)
    ).handle
)
