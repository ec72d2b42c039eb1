"""Sends the e-mails about accounts: proofs of access to an address, and notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.accounts.address_codes import AddressCodes, IssuedCode, Purpose
from services.accounts.users import AccountHolder, Users
from services.events.accounts import AccountEvent, AccountEventType, parse_account_event
from services.mail.letter import Letter, Link
from services.mail.outbox import Outbox
from services.platform import log
from services.platform.functions.sqs import Message

# Pages of the website: see Outbox.page_link.
CONFIRMATION_PAGE = "confirm"
RESET_PAGE = "reset"


@dataclass(frozen=True)
class _Notice:
    """An e-mail to the owner of an account about a change of it."""

    subject: str
    lines: tuple[str, ...]
    """`{time}` stands for the time of the change."""

    def letter(self, holder: AccountHolder, event: AccountEvent) -> Letter:
        moment = datetime.fromisoformat(event.time).astimezone(UTC)
        return Letter(
            subject=self.subject,
            headline=f"{self.subject}.",
            lines=tuple(line.format(time=f"{moment:%Y-%m-%d %H:%M} UTC") for line in self.lines),
            name=holder.name,
        )


NOTICES: Mapping[AccountEventType, _Notice] = {
    AccountEventType.EXPORT_REQUESTED: _Notice(
        "Your data are being exported",
        (
            "An export of your photos, orders and account was requested, probably by you. It is "
            "ready in some minutes; for an hour you can download it when you are signed in.",
            "If it was not you, change your password: that closes all other sessions.",
        ),
    ),
    AccountEventType.PASSWORD_CHANGED: _Notice(
        "Your password was changed",
        (
            "The password of your account was changed, and its other sessions were closed.",
            "If it was not you, set a new password with the code of an e-mail (forgotten "
            "password), and revoke API keys that you do not know.",
        ),
    ),
    AccountEventType.SIGNED_IN_FROM_NEW_NETWORK: _Notice(
        "New sign-in to your account",
        (
            "Your password was used to sign in on {time}, from a network that your account has "
            "not used in the last 90 days.",
            "If it was you, there is nothing to do. If not, change your password: that closes all "
            "other sessions.",
        ),
    ),
    AccountEventType.SECOND_FACTOR_ENABLED: _Notice(
        "Your second factor is on",
        (
            "From now on, sign-in asks for a code of your authenticator app. Your other sessions "
            "were closed. Keep the recovery codes where you find them without your phone.",
            "If it was not you, set a new password and write to us.",
        ),
    ),
    AccountEventType.SECOND_FACTOR_DISABLED: _Notice(
        "Your second factor is off",
        (
            "From now on, sign-in asks for your password alone.",
            "If it was not you, change your password and set the second factor up again.",
        ),
    ),
    AccountEventType.SECOND_FACTOR_CODE_REUSED: _Notice(
        "A used code was sent again",
        (
            "On {time} your password was used to sign in with a code of your authenticator app "
            "that was used before, or is older than one that was. It was refused.",
            "If you sent the same code twice, there is nothing to do. If not, somebody knows your "
            "password and saw the code: change your password, which closes all other sessions.",
        ),
    ),
    AccountEventType.SECOND_FACTOR_RESET: _Notice(
        "Your second factor was reset",
        (
            "We removed the second factor of your account, because we were asked to: the phone and "
            "the recovery codes were lost. All sessions were closed, and sign-in asks for your "
            "password alone.",
            "Set a second factor up again when you are signed in. If you did not ask for it, set a "
            "new password with the code of an e-mail (forgotten password) and write to us.",
        ),
    ),
}


@dataclass(frozen=True)
class SendAccountEmail:
    """Handles account events."""

    codes: AddressCodes
    users: Users
    outbox: Outbox

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event. A second delivery stores another code and sends nothing.
        Raises DeliveryUnknownError."""
        event = parse_account_event(message.body)
        log.bind(event_id=event.id)
        letter = self._letter(event, self.users.holder(event.email))
        if letter is None:
            log.logger().info("email_not_wanted", reason="no account")
            return
        self.outbox.send(event.id, event.email, letter, replayed=message.replayed)

    def _letter(self, event: AccountEvent, holder: AccountHolder | None) -> Letter | None:
        if event.type is AccountEventType.PASSWORD_RESET_REQUESTED:
            if holder is None or holder.is_closed:
                return None
            issued = self.codes.issue(Purpose.PASSWORD_RESET, event.email)
            return password_reset(issued, self._link("New password", RESET_PAGE, issued), holder)
        if (notice := NOTICES.get(event.type)) is not None:
            return None if holder is None or holder.is_closed else notice.letter(holder, event)
        if holder is not None:
            return account_exists(holder)
        issued = self.codes.issue(Purpose.SIGN_UP, event.email)
        return confirmation(issued, self._link("Confirm", CONFIRMATION_PAGE, issued))

    def _link(self, text: str, page: str, issued: IssuedCode) -> Link | None:
        return self.outbox.page_link(text, page, issued.token)


def confirmation(issued: IssuedCode, link: Link | None) -> Letter:
    """The e-mail to an address without an account. It has no word of the person who signed up,
    who may be anybody."""
    return Letter(
        subject="Confirm your e-mail address",
        headline="Confirm your e-mail address.",
        lines=(
            "Enter this code where you signed up. It is valid for 24 hours.",
            issued.code,
            "If you did not sign up, ignore this e-mail: there is no account without the code.",
        ),
        link=link,
    )


def password_reset(issued: IssuedCode, link: Link | None, holder: AccountHolder) -> Letter:
    """The e-mail to an address whose password is forgotten."""
    return Letter(
        subject="Set a new password",
        headline="Set a new password.",
        lines=(
            "Enter this code where you asked for a new password. It is valid for an hour.",
            issued.code,
            "If you did not ask for it, ignore this e-mail: your password stays as it is.",
        ),
        name=holder.name,
        link=link,
    )


def account_exists(holder: AccountHolder) -> Letter:
    """The e-mail to an address that has an account."""
    state = (
        "It has an account that is being deleted: sign up again when that is done."
        if holder.is_closed
        else "It has an account: sign in with your password."
    )
    return Letter(
        subject="You already have an account",
        headline="You already have an account.",
        lines=(
            f"Somebody, probably you, signed up with this address. {state}",
            "If it was not you, ignore this e-mail: nothing has changed.",
        ),
        name=holder.name,
    )
