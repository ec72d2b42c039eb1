"""erase-accounts: erases the accounts whose deletion was asked for, on a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.accounts.address_codes import AddressCodes
from services.accounts.erasure import ErasedUsers, Pending, StoredData
from services.events.schedules import check_scheduled
from services.platform import log
from services.platform.errors import TransientError
from services.platform.functions.sqs import Message

# Accounts that one invocation erases.
ERASED_PER_RUN_MAX = 20
RESERVE_SECONDS = 30
# Share of the settling time in which originals leave delete markers, for S3 to replicate them:
# longer than an upload form is valid. Events of the markers' deletion are handled in the rest.
MARKERS_STAY_SHARE = 0.75


class OutOfTimeError(TransientError):
    """The invocation ends soon; the next one continues."""


@dataclass(frozen=True)
class EraseAccounts:
    """Erases accounts. `settling` is longer than an upload form is valid and an event is under way:
    what arrives in that time is deleted by a last pass, after which the account is closed."""

    users: ErasedUsers
    data: StoredData
    codes: AddressCodes
    settling: timedelta

    def handle(self, message: Message) -> None:
        """Deletes expired codes, and continues every pending erasure. One failure does not stop the
        others; failures are logged and not raised, for the next message of the schedule tries
        again. Raises PermanentError for a message that no schedule sent."""
        check_scheduled(message.body)
        logger = log.logger()
        try:
            if deleted := self.codes.delete_expired():
                logger.info("expired_codes_deleted", codes=deleted)
            pending = self.users.pending(ERASED_PER_RUN_MAX)
        except Exception:
            logger.exception("account_erasure_search_failed")
            return
        for found in pending:
            try:
                closed = self._erase(found, message)
            except OutOfTimeError:
                logger.warning("account_erasure_interrupted", user_id=found.user_id)
                return
            except Exception:
                logger.exception("account_erasure_failed", user_id=found.user_id)
            else:
                logger.info("account_data_deleted", user_id=found.user_id, account_closed=closed)

    def _erase(self, found: Pending, message: Message) -> bool:
        """Deletes what is stored about a user; returns whether this was the last pass."""

        def check() -> None:
            if message.seconds_left() < RESERVE_SECONDS:
                raise OutOfTimeError(f"{found.user_id} is not erased yet")

        elapsed = datetime.now(UTC) - found.requested_at
        markers_stay = elapsed < self.settling * MARKERS_STAY_SHARE
        self.data.delete(found.user_id, check, markers_stay=markers_stay)
        if elapsed < self.settling:
            return False
        self.users.anonymize(found.user_id)
        return True
