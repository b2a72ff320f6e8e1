"""Tokens already used, kept in the store until they have expired, so that all workers refuse a replay."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine, delete, insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from cds_service.errors import StoreError
from cds_service.store.engine import transaction
from cds_service.store.tables import USED_TOKENS

_PRUNE_SECONDS = 300
_WAIT_SECONDS = 5  # for other writers; cards wait less, on the same connections
_SKEW_SECONDS = 600  # a machine whose clock is ahead must not forget what another still takes for valid


class UsedTokens:
    """`clock` tells seconds since 1970."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock
        self._prune_at = 0.0

    def use(self, issuer: str, token_id: str, valid_until: float) -> bool:
        """Whether this is the first use, which is then kept until `valid_until` (seconds since 1970) and longer.

        Raises StoreError where that cannot be told.
        """
        key = _key(issuer, token_id)
        try:
            self._prune()
            with self._writing() as connection:
                connection.execute(
                    insert(USED_TOKENS).values(
                        token_key=key, expires_at=math.ceil(valid_until) + _SKEW_SECONDS
                    )
                )
        except IntegrityError:
            return False
        except SQLAlchemyError as error:
            raise StoreError(
                f"Tokens already used cannot be looked up ({type(error).__name__}); try again later."
            ) from None
        return True

    def _writing(self) -> AbstractContextManager[Connection]:
        """Not made to last through a loss of power, which costs a wait for the disk with each call: the few tokens
        of the last moment would be known again only to who had read them on the way."""
        return transaction(self._engine, durable=False, seconds=_WAIT_SECONDS)

    def _prune(self) -> None:
        now = self._clock()
        if now < self._prune_at:
            return
        self._prune_at = now + _PRUNE_SECONDS
        with self._writing() as connection:
            connection.execute(delete(USED_TOKENS).where(USED_TOKENS.c.expires_at < now))


def _key(issuer: str, token_id: str) -> str:
    return hashlib.sha256(json.dumps([issuer, token_id]).encode()).hexdigest()
