"""The state bucket of a stack as the commands use it: a folder here, or a bucket in a cloud with the user's own login.

A bucket that can't be read is told in words that a user can act on: who must log in and how, which right is missing, that it is
gone or elsewhere. What may be over in a moment has an error of its own, so that whoever waits can go on waiting.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console

from cli.context import Context
from cli.logins import CLOUDS, Login, no_login
from cli.outputs import Whereabouts, whereabouts
from spec.errors import InputError, OutsideError

if TYPE_CHECKING:
    from lb.bucket import Bucket, BucketError

LIMIT_S = 10.0
"""For one call from this computer, with its retries."""

_GONE = ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "bucket does not exist")
_NO_LOGIN = ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired", "401 Unauthorized")
_DENIED = "403 Forbidden"
"""Of a listing the store tells no kinds of errors, only what the cloud said."""
_ELSEWHERE = ("without LOCATION", "PermanentRedirect", "AuthorizationHeaderMalformed")
_CALL = re.compile(r"^.*?Error performing \w+ \S+ in \S+?(?:, after .*?s )? ?- ")
"""What the store puts in front of each reason: the address that was asked, how often, and how long it took."""

progress = Console(stderr=True)


class NotThere(OutsideError):
    """The bucket has no such object: whoever writes it has not done so yet."""


class Silent(OutsideError):
    """Nothing is to be had, or nothing that makes sense; that may be over in a moment."""


class State:
    """Of a stack on this computer. `afar`: where one in the clouds has what; None = here."""

    afar: Whereabouts | None = None

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def env(self) -> str:
        """Whose desired state it holds."""
        return self.context.stack

    @property
    def where(self) -> str:
        """What to call it in a message."""
        return str(self.context.state_dir)

    @cached_property
    def bucket(self) -> Bucket:
        """For what takes more than one call; inside `told`, its errors are said in words."""
        from lb.bucket import open_bucket  # loads an object store: only what needs it pays for it

        return open_bucket(self.context.state_dir.absolute().as_uri())

    def looking(self) -> AbstractContextManager[object]:
        """Something that turns at a terminal, while a bucket far away is read."""
        return nullcontext()

    def get(self, path: str) -> bytes:
        """The whole object. Raises NotThere, Silent and OutsideError."""
        try:
            return (self.context.state_dir / path).read_bytes()
        except FileNotFoundError:
            raise NotThere(f"{self.where}/{path} is missing") from None
        except OSError as e:
            raise Silent(f"{self.where}/{path} can't be read: {e.strerror}") from None

    def put(self, path: str, data: bytes) -> None:
        """Writes the object whole. Raises Silent and OutsideError."""
        with self.told(writing=True):
            asyncio.run(self.bucket.put(path, data))

    def delete(self, path: str) -> None:
        """One that is not there counts as removed. Raises Silent and OutsideError."""
        with self.told(writing=True):
            asyncio.run(self.bucket.delete(path))

    @contextmanager
    def told(self, *, writing: bool = False) -> Generator[None]:  # noqa: ARG002  a cloud's has other rights for it
        """A folder's errors say all that there is to say."""
        yield


class CloudState(State):
    """Of a stack in the clouds. Raises OutsideError without a login to the bucket's cloud."""

    def __init__(self, context: Context, known: Whereabouts) -> None:
        super().__init__(context)
        self.afar, self._url = known, known.state_url
        self._scheme = urlsplit(known.state_url).scheme
        if self._scheme not in CLOUDS:
            raise InputError(f"stack {context.env}: its output state_url, {known.state_url}, is in no cloud")
        config = context.config
        self._region = config.home.region if config.home is not None and self._scheme == "s3" else ""
        tenant = config.azure.tenant_id if config.azure is not None else ""
        self._login = Login(self._scheme, tenant=tenant)

    @property
    def env(self) -> str:
        """Of a part, the environment that it is a part of."""
        return self.context.env

    @property
    def where(self) -> str:
        """Its URL."""
        return self._url

    @cached_property
    def bucket(self) -> Bucket:
        """With the user's login, and less patience than a controller has."""
        from lb.bucket import open_bucket

        return open_bucket(self.where, credentials=self._login, region=self._region, limit_s=LIMIT_S)

    def looking(self) -> AbstractContextManager[object]:
        """On stderr, so that a program reads only what was asked for."""
        return progress.status(f"reading {self.where} ...")

    def get(self, path: str) -> bytes:
        """The whole object. Raises NotThere, Silent and OutsideError."""
        with self.told():
            return asyncio.run(self.bucket.get(path))

    @contextmanager
    def told(self, *, writing: bool = False) -> Generator[None]:
        """Raises NotThere, Silent or OutsideError in place of the bucket's errors."""
        from lb.bucket import BucketError

        try:
            yield
        except BucketError as e:
            raise self._in_words(e, writing=writing) from None

    def _in_words(self, error: BucketError, *, writing: bool) -> OutsideError:
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        from lb.bucket import ObjectNotFound

        cause, said = error.__cause__, str(error.__cause__ or error)
        if any(code in said for code in _GONE):
            return OutsideError(
                f"the state bucket {self.where} does not exist, though the last update has made it. What the controller "
                f"knew is gone with it; `./tw up --stack {self.context.env}` makes it again."
            )
        if isinstance(error, ObjectNotFound):
            return NotThere(str(error).replace("the state bucket", self.where))
        if any(code in said for code in _ELSEWHERE):
            return OutsideError(self._elsewhere(said))
        if "RequestTimeTooSkewed" in said:
            return OutsideError(f"{self.where}: this computer's clock is wrong; what it signs is refused")
        if isinstance(cause, UnauthenticatedError) or any(code in said for code in _NO_LOGIN):
            return no_login(self._scheme, _reason(said))
        if isinstance(cause, PermissionDeniedError) or _DENIED in said:
            cloud = CLOUDS[self._scheme]
            what = str(error).partition(":")[0]
            return OutsideError(
                f"{self.where}: {what}: denied. Your login to {cloud.name} needs {cloud.writes if writing else cloud.reads}."
            )
        return Silent(f"{self.where} does not answer well: {_reason(said)}")

    def _elsewhere(self, said: str) -> str:
        right = re.search(r"expecting '([a-z0-9-]+)'", said)
        there = f" but in {right[1]}" if right else ""
        return (
            f"{self.where} is not in {self._region or 'the region that was asked'}{there}: `tradewind:home` of "
            f"Pulumi.{self.context.env}.yaml must name the region that the stack was brought up in"
        )


def state_of(context: Context) -> State:
    """The stack's state bucket. Raises InputError where the stack is not up, and OutsideError where nobody is logged in."""
    if context.is_local:
        return State(context)
    with progress.status(f"looking where {context.env} keeps its state ..."):
        return CloudState(context, whereabouts(context))


def _reason(said: str) -> str:
    """Without what is only of use to who reads the store's code."""
    return _CALL.sub("", said.splitlines()[0])[:300] if said else "it says nothing"
