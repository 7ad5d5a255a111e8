"""Addresses in S3, under any of the schemes that EMR and Hadoop write them with."""

import re
from dataclasses import dataclass

from drydock_driver.errors import UsageError

# EMR hands a log URI given as s3:// back as s3n://; jobs may say s3a://. All three are the same place.
_PATTERN = re.compile(r"s3[na]?://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.DOTALL)


@dataclass(frozen=True)
class S3Uri:
    """A bucket and a key; the key has no leading slash and may be empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "S3Uri":
        """Read `s3://`, `s3a://` or `s3n://`. Raises UsageError for anything else."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise UsageError(f"`{text}` is no address in S3; expected `s3://bucket/key`.")
        return cls(match["bucket"], match["key"] or "")

    def __truediv__(self, name: str) -> "S3Uri":
        """The address of `name` under this one; one slash between them however this one ends."""
        return S3Uri(self.bucket, f"{self.key.rstrip('/')}/{name}" if self.key.rstrip("/") else name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
