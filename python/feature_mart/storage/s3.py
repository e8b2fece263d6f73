"""Store files in a bucket of S3 or of a compatible service.

Each body is sent with its SHA-256, so the service rejects a body that changed in transit. A part is written only if its
key is absent, so even a writer that was suspended cannot overwrite the part of another writer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from feature_mart.core.errors import TerminalError, TransientError
from feature_mart.core.services import S3Options
from feature_mart.storage.opening import describe_client, foreign_endpoint
from feature_mart.storage.s3_errors import (
    CHANGED_ON_THE_WAY,
    CONFLICT,
    MISSING,
    PRECONDITION,
    WITHOUT_CONDITIONS,
    cut_short,
    error_code,
    explained_errors,
    via,
)
from feature_mart.storage.scratch import open_scratch
from feature_mart.storage.store import Entry, Headers, OccupiedError

#: Size of a multipart piece in bytes. A file of up to four pieces is sent in one request. S3 accepts up to 5 GiB in one
#: request, and up to 10,000 pieces.
PIECE = 16 * 2**20
_WHOLE_UP_TO = 4 * PIECE
_AT_ONCE = 4
_ATTEMPTS = 6
#: Metadata key of a file's SHA-256, which S3 does not keep for a multipart upload, and other services never keep.
_SHA256 = "feature-mart-sha256"
_ABSENT, _SAME = "If-None-Match", "If-Match"
#: An ETag that no object has.
_NO_ETAG = f'"{"0" * 32}"'


class S3Store:
    """A store for the keys below ``s3://bucket/prefix``."""

    def __init__(
        self,
        connect: Callable[[], Any],
        bucket: str,
        prefix: str,
        scratch: Path,
        options: S3Options,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the store; no request is sent.

        Args:
            connect: function that returns boto3's client (see `open_s3_client`); called at the first request.
            scratch: the local folder below which files are kept until they are uploaded.
            sleep: function that waits between retries, given a number of seconds.
        """
        self._options = options
        self._connect, self._connecting = functools.cache(connect), Lock()
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._scratch = scratch
        self._owner = (
            {"ExpectedBucketOwner": options.expected_owner} if options.expected_owner else {}
        )
        self._written_as: dict[str, str] = {}
        if options.kms_key:
            self._written_as |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.kms_key}
        elif options.encryption:
            self._written_as |= {"ServerSideEncryption": options.encryption}
        if options.tags:
            self._written_as |= {"Tagging": options.tags}
        self._sleep = sleep

    def address(self, key: str = "") -> str:
        """Return ``s3://bucket/prefix/key``."""
        return f"s3://{self._bucket}/{self._key(key)}".rstrip("/")

    def through(self) -> str:
        """Describe the endpoint, region, profile, proxy and certificates, with the settings that define them."""
        with explained_errors(self.address()):
            return describe_client(self._client, self._options)

    def require_conditions(self, key: str) -> None:
        """Write to an existing `key` with two false conditions. Raises: TerminalError unless both writes are refused.

        The conditions are that the key is absent, and that the ETag of the object is one that no object has. If the key
        is missing, a further request creates the key first.
        """
        said = b"`mart export` writes this to see whether conditional writes are honoured here.\n"
        ignored = ""
        if self.put_if_absent(key, said) and self.put_if_absent(key, said):
            ignored = _ABSENT
        elif self._if(_SAME, key, lambda: self._send(key, said, _digest(said), IfMatch=_NO_ETAG)):
            ignored = _SAME
        if ignored:
            raise TerminalError(
                f"{self.address(key)}: PutObject succeeded{via(self._via())} although its condition ({ignored}) is "
                f"false. This store ignores conditional writes. {WITHOUT_CONDITIONS}"
            )

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a context manager that yields a local folder for files that are not uploaded yet."""
        return open_scratch(self._scratch)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:  # noqa: ARG002
        """Do nothing. No lock is needed, because a part is written only if the key is absent."""
        yield

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Return an entry for every key below a prefix, sorted by key. One request lists up to 1,000 keys."""
        start, found = f"{self._key(prefix)}/".lstrip("/"), []
        for page in self._pages("list_objects_v2", Prefix=start):
            for each in page.get("Contents", ()):
                # The S3 console creates an empty object for a folder.
                if str(each["Key"]).endswith("/"):
                    continue
                key = str(each["Key"]).removeprefix(self._prefix).lstrip("/")
                found.append(Entry(key, int(each["Size"]), each["LastModified"].astimezone(UTC)))
        return tuple(sorted(found, key=lambda entry: entry.key))

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names directly below a prefix that have keys below them, sorted, from S3's common prefixes."""
        start = f"{self._key(prefix)}/".lstrip("/")
        pages = self._pages("list_objects_v2", Prefix=start, Delimiter="/")
        found = [str(each["Prefix"]) for page in pages for each in page.get("CommonPrefixes", ())]
        names = (each.removeprefix(start).rstrip("/") for each in found)
        return tuple(sorted(name for name in names if name and name[0] != "."))

    def read(self, key: str) -> bytes | None:
        """Return the content of the object, or None if it is missing."""
        found = self._get(key)
        return None if found is None else found[0]

    def sha256(self, key: str) -> str | None:
        """Return the SHA-256 of the whole file, or None if the file is missing.

        The result is the checksum that S3 holds, else the SHA-256 in the metadata, else an empty string.
        """
        return self._stored_sha256(self._head(key))

    @contextmanager
    def local(self, key: str, scratch: Path) -> Iterator[Path | None]:
        """Yield the path of a downloaded copy, or None if the file is missing. Remove the copy at the end."""
        # Import boto3 only here, because the import takes 0.2 s.
        from boto3.exceptions import Boto3Error

        copy = scratch / hashlib.sha256(key.encode()).hexdigest()[:24]
        try:
            with self._explained(key):
                try:
                    self._client.download_file(
                        self._bucket, self._key(key), str(copy), ExtraArgs=self._owner
                    )
                except ClientError as error:
                    if error_code(error) not in MISSING:
                        raise
                except Boto3Error as error:
                    raise cut_short(error, self.address(key), self._via()) from error
            yield copy if copy.is_file() else None
        finally:
            copy.unlink(missing_ok=True)

    def put_file(self, key: str, local: Path, sha256: str, *, is_new: bool = False) -> bool:
        """Upload the file with the SHA-256 if the key is absent. Unless `is_new`, first check whether the key exists.

        Raises:
            OccupiedError: the key holds other bytes.
            TransientError: another process wrote and removed the key in the meantime.
        """
        there = None if is_new else self._head(key)
        if there is None:
            send = self._send_whole if local.stat().st_size <= _WHOLE_UP_TO else self._send_pieces
            if self._if(_ABSENT, key, lambda: send(key, local, sha256)):
                return True
            there = self._head(key)
            if there is None:
                raise TransientError(
                    f"{self.address(key)} was written and removed by others at the same time; try again."
                )
        if self._stored_sha256(there) == sha256:
            return False
        raise OccupiedError(key)

    def put(self, key: str, data: bytes, headers: Headers | None = None) -> None:
        """Put the object unconditionally."""
        described = (
            {"ContentType": headers.content_type, "CacheControl": headers.cache_control}
            if headers
            else {}
        )
        if not self._if("", key, lambda: self._send(key, data, _digest(data), **described)):
            raise TerminalError(
                f"{self.address(key)}: the service refused a write without a condition with the error of a failed "
                "condition. Correct MART_S3_ENDPOINT."
            )

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Put the object with the header ``If-None-Match``."""
        return self._if(_ABSENT, key, lambda: self._send(key, data, _digest(data), IfNoneMatch="*"))

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Put the object with the header ``If-Match`` and the ETag of the stored object whose content is `expected`."""
        if expected is None:
            return self.put_if_absent(key, data)
        found = self._get(key)
        if found is None or found[0] != expected:
            return False
        etag = found[1]
        return self._if(_SAME, key, lambda: self._send(key, data, _digest(data), IfMatch=etag))

    def delete(self, key: str) -> None:
        """Delete the object."""
        with self._explained(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key), **self._owner)

    def drop_uploads(self, prefix: str, before: datetime, is_ours: Callable[[str], bool]) -> int:
        """Abort unfinished multipart uploads, because their pieces cost storage and do not appear in listings."""
        start, dropped = f"{self._key(prefix)}/".lstrip("/"), 0
        for page in self._pages("list_multipart_uploads", Prefix=start):
            for upload in page.get("Uploads", ()):
                key = str(upload["Key"]).removeprefix(self._prefix).lstrip("/")
                if upload["Initiated"].astimezone(UTC) < before and is_ours(key):
                    with self._explained(prefix):
                        self._abort(upload["Key"], upload["UploadId"])
                    dropped += 1
        return dropped

    @property
    def _client(self) -> Any:
        # Only one thread opens the client; the others wait.
        with self._connecting:
            return self._connect()

    def _explained(self, key: str, condition: str = "") -> AbstractContextManager[None]:
        return explained_errors(self.address(key), condition, self._via)

    def _via(self) -> str:
        return foreign_endpoint(self._client, self._options)

    def _key(self, key: str) -> str:
        return "/".join(part for part in (self._prefix, key) if part)

    def _pages(self, operation: str, **asked: Any) -> Iterator[dict[str, Any]]:
        with self._explained(""):
            pages = self._client.get_paginator(operation).paginate(
                Bucket=self._bucket, **asked, **self._owner
            )
            yield from pages

    def _get(self, key: str) -> tuple[bytes, str] | None:
        with self._explained(key):
            try:
                found = self._client.get_object(
                    Bucket=self._bucket, Key=self._key(key), **self._owner
                )
            except ClientError as error:
                if error_code(error) in MISSING:
                    return None
                raise
            return found["Body"].read(), str(found["ETag"])

    def _head(self, key: str) -> dict[str, Any] | None:
        with self._explained(key):
            try:
                found: dict[str, Any] = self._client.head_object(
                    Bucket=self._bucket,
                    Key=self._key(key),
                    ChecksumMode="ENABLED",
                    **self._owner,
                )
            except ClientError as error:
                if error_code(error) in MISSING:
                    return None
                raise
            return found

    def _stored_sha256(self, found: dict[str, Any] | None) -> str | None:
        if found is None:
            return None
        checksum = str(found.get("ChecksumSHA256") or "")
        # A checksum of checksums ends in the number of pieces, as in ``…=-3``.
        if checksum and "-" not in checksum:
            return base64.b64decode(checksum).hex()
        return str(found.get("Metadata", {}).get(_SHA256) or "")

    def _send(self, key: str, body: Any, digest: bytes, **more: Any) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._key(key),
            Body=body,
            ChecksumSHA256=base64.b64encode(digest).decode(),
            **self._written_as,
            **self._owner,
            **more,
        )

    def _send_whole(self, key: str, local: Path, sha256: str) -> None:
        with local.open("rb") as file:
            metadata = {_SHA256: sha256}
            self._send(key, file, bytes.fromhex(sha256), IfNoneMatch="*", Metadata=metadata)

    def _send_pieces(self, key: str, local: Path, sha256: str) -> None:
        place = {"Bucket": self._bucket, "Key": self._key(key), **self._owner}
        upload = self._client.create_multipart_upload(
            **place,
            ChecksumAlgorithm="SHA256",
            Metadata={_SHA256: sha256},
            **self._written_as,
        )["UploadId"]

        def send(start: int) -> dict[str, Any]:
            with local.open("rb") as file:
                file.seek(start)
                piece = file.read(PIECE)
            checksum = base64.b64encode(_digest(piece)).decode()
            number = start // PIECE + 1
            done = self._client.upload_part(
                **place, UploadId=upload, PartNumber=number, Body=piece, ChecksumSHA256=checksum
            )
            return {"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": checksum}

        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                sent = list(pool.map(send, range(0, local.stat().st_size, PIECE)))
            self._client.complete_multipart_upload(
                **place, UploadId=upload, MultipartUpload={"Parts": sent}, IfNoneMatch="*"
            )
        except BaseException:
            # If the abort fails, `drop_uploads` aborts the upload later. The first error is raised.
            with suppress(ClientError, BotoCoreError):
                self._abort(place["Key"], upload)
            raise

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, **self._owner
            )
        except ClientError as error:
            if error_code(error) not in {*MISSING, "NoSuchUpload"}:
                raise

    def _if(self, condition: str, key: str, send: Callable[[], None]) -> bool:
        """Return True if a write with a condition (empty for none) was done, False if the condition did not hold."""
        try:
            self._tried(condition, key, send)
        except _RefusedError:
            return False
        return True

    def _tried(self, condition: str, key: str, send: Callable[[], None]) -> None:
        """Send a write, and retry if the body changed in transit or another write was in progress.

        botocore retries other errors.

        Raises:
            _RefusedError: the write's condition does not hold.
        """
        # A missing upload was completed by an attempt whose response was lost, or aborted by another process.
        refusals = PRECONDITION | {"NoSuchUpload"}
        if condition == _SAME:
            # If the key is missing, If-Match does not hold, as for a changed object.
            refusals |= MISSING
        for attempt in range(_ATTEMPTS):
            with self._explained(key, condition):
                try:
                    send()
                except ClientError as error:
                    code = error_code(error)
                    if code in refusals:
                        raise _RefusedError from error
                    if code not in CHANGED_ON_THE_WAY | CONFLICT or attempt == _ATTEMPTS - 1:
                        raise
                else:
                    return
            self._sleep(0.1 * 2**attempt)


class _RefusedError(Exception):
    """The condition of a write does not hold."""


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
