"""Links of e-mails, and the account page's second factor and export, in a real browser on an
embedded lab."""

from __future__ import annotations

import base64
import time
from contextlib import closing

from playwright.sync_api import Locator, Page, expect

from services.accounts import totp
from services.accounts.address_codes import AddressCodes, Purpose
from services.accounts.second_factors import RECOVERY_CODES
from services.local.state import LabState
from services.mail.send_account_email import CONFIRMATION_PAGE, RESET_PAGE
from tests.browser.visitors import NAME, PASSWORD, check, new_email, sign_in


def section(page: Page, heading: str) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name=heading))


def code_of(secret: str, steps: int = 0) -> str:
    """The code of an app that has the secret, `steps` of 30 s from now."""
    padded = secret + "=" * (-len(secret) % 8)
    return totp.hotp(base64.b32decode(padded), totp.step_at(time.time()) + steps)


def test_second_factor_is_set_up_by_qr_code_and_asked_for_at_sign_in(
    page: Page, lab: LabState
) -> None:
    email = sign_in(page, lab)
    page.get_by_role("link", name="Account").click()
    factor = section(page, "Second factor")
    factor.get_by_label("Password").fill(PASSWORD)
    factor.get_by_role("button", name="Set up").click()
    expect(factor.get_by_role("img", name="QR code")).to_be_visible()
    secret = factor.locator("code").inner_text().replace(" ", "")
    assert f"secret={secret}&" in str(factor.get_by_role("link").get_attribute("href"))
    found = check(page, "enrolment")
    factor.get_by_label("Code of your authenticator app").fill(code_of(secret))
    factor.get_by_role("button", name="Confirm").click()
    expect(factor.get_by_text("Keep these codes.")).to_be_visible()
    assert len(factor.locator("pre").inner_text().split()) == RECOVERY_CODES
    assert found + check(page, "recovery codes") == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    # The code that confirmed it is used up.
    page.get_by_label("Code of your authenticator app").fill(code_of(secret, 1))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()


def test_export_is_asked_for_and_downloaded(page: Page, lab: LabState) -> None:
    email = sign_in(page, lab)
    page.get_by_role("link", name="Account").click()
    export = section(page, "Export your data")
    export.get_by_role("button").click()
    link = export.get_by_role("link")
    expect(link).to_be_visible()
    assert check(page, "export") == []
    with page.expect_download() as download:
        link.click()
    assert email in download.value.path().read_text(encoding="utf-8")


def open_link(page: Page, lab: LabState, purpose: Purpose, email: str) -> None:
    """Opens the link of an e-mail. Those of an embedded lab have codes only."""
    with closing(lab.database()) as database:
        token = AddressCodes(database).issue(purpose, email).token
    pages = {Purpose.SIGN_UP: CONFIRMATION_PAGE, Purpose.PASSWORD_RESET: RESET_PAGE}
    page.goto(f"{lab.api}/#/{pages[purpose]}/{token}")
    page.reload()


def test_links_of_emails_confirm_an_address_and_replace_a_password(
    page: Page, lab: LabState
) -> None:
    email = new_email()
    open_link(page, lab, Purpose.SIGN_UP, email)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()
    # The secret stays neither in the address nor in the history.
    assert page.evaluate("location.hash") == "#/photos"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    open_link(page, lab, Purpose.PASSWORD_RESET, email)
    page.get_by_label("New password").fill(f"{PASSWORD} reset")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(f"{PASSWORD} reset")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()
    # The form is shown to a user who is signed in, too.
    open_link(page, lab, Purpose.PASSWORD_RESET, email)
    expect(page.get_by_label("New password")).to_be_visible()
