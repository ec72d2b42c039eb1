"""Shows the page of an unsubscribe link."""

from services.mail.api import SHOW_UNSUBSCRIBE_PAGE
from services.mail.show_unsubscribe_page import ShowUnsubscribePage
from services.platform.functions.http import http_function

handler = http_function(SHOW_UNSUBSCRIBE_PAGE, ShowUnsubscribePage().handle)
