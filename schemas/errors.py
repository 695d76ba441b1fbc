"""The error tree. Every error raised on purpose is one of these, with one line saying what, where, found, wanted.

    BoxcarError             everything raised on purpose; a command prints it in one line and exits 2
    + ConfigError           YAML or flags are wrong; nothing has run
    + SourceError           files are missing or not as published; names the path and where people get it
    + RecordError           one row cannot be a record: counted and kept with its reason
      - BoxError            a box is empty, inverted or outside its picture
      - ImageError          a picture is missing, damaged, or not the one the annotation speaks of
      - TextError           text is empty, too long, or cannot be written as UTF-8
    + Filtered              a stated rule leaves one row out: counted by rule
    + ShardError            a shard disagrees with its receipt; exits 1
    + RejectsError          more candidates were rejected than allowed; exits 1

The message of a RecordError or Filtered is ``reason: detail``; the reason is what ledgers count by, so it never
holds numbers or names. Every error takes exactly one string: others do not survive being pickled between processes.
"""

import difflib
from collections.abc import Iterable


class BoxcarError(Exception):
    """Anything raised on purpose."""


class ConfigError(BoxcarError):
    """The YAML or the flags are wrong; nothing has run."""


class SourceError(BoxcarError):
    """Files are missing or not as published."""


class ShardError(BoxcarError):
    """A shard or a pool disagrees with its receipts."""


class RejectsError(BoxcarError):
    """More candidates of a source were rejected than the pool allows."""


class _ReasonedError(BoxcarError):
    @property
    def reason(self) -> str:
        """The part before the first colon: what a ledger counts by."""
        return str(self).partition(":")[0]


class Filtered(_ReasonedError):  # noqa: N818 - no error but a stated rule at work
    """A stated rule leaves this row out."""


class RecordError(_ReasonedError):
    """One row cannot be a record."""


class BoxError(RecordError):
    """A box is empty, inverted or outside its picture."""


class ImageError(RecordError):
    """A picture is missing, damaged, or not the one the annotation speaks of."""


class TextError(RecordError):
    """Text is empty, too long, or cannot be written as UTF-8."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A one-line message for an unknown name: near ones where there are any, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {kind} {name!r}; {offer}"
