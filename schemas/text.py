"""The text rules, in one place: what of a source's text is tidied, refused, and quoted.

* White space (line breaks and no-break spaces too) becomes single blanks, trimmed at both ends; control characters
  count as white space. Case, spelling, punctuation and mojibake stay as they are.
* Chat and instructions keep their lines, whose breaks and indentation mean something there (lists, tables, code): line
  ends become line feeds, blanks at their ends go, control characters become blanks, and nothing else is changed.
* Empty text, text over ``MAX_CHARS`` characters, and text that is no valid Unicode (lone surrogates) are TextErrors.
* Strings that mean something to the box syntax or to a chat template are quoted: one backslash goes in after their
  first character (``<p>`` becomes ``<\\p>``). A quoted string gets one backslash more, so unquoting is exact.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import TextError

MAX_CHARS = 20_000

TASKS = ("caption", "grounding", "refer", "identify", "detection", "vqa")

# None of these begins inside another one, except at its last character: quoting each on its own stays reversible.
RESERVED = (
    "<p>", "</p>", "<delim>", "{<",
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<unk>",
    "<Img>", "</Img>", "<ImageHere>", "<image>",
    *(f"[{task}]" for task in TASKS),
)  # fmt: skip

_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_LINE_END = re.compile(r"\r\n?|[\n\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def tidy(text: str, what: str = "text") -> str:
    """The text with its white space tidied and nothing else changed; TextError where nothing or no text is left."""
    if _is_tidy(text):
        return text
    return _checked(_BLANK.sub(" ", text).strip(), what)


def _is_tidy(text: str) -> bool:
    # The only blank that Python calls printable is " ", and neither controls nor lone surrogates are.
    if not text.isprintable() or "  " in text or not 0 < len(text) <= MAX_CHARS:
        return False
    return text[0] != " " and text[-1] != " "


def tidy_lines(text: str, what: str = "text") -> str:
    """The text with its line ends unified and blank edges gone; TextError where nothing or no text is left."""
    lines = [line.rstrip() for line in _CONTROL.sub(" ", _LINE_END.sub("\n", text)).split("\n")]
    first = next((place for place, line in enumerate(lines) if line), 0)
    return _checked("\n".join(lines[first:]).rstrip("\n"), what)


def _checked(tidied: str, what: str) -> str:
    if not tidied:
        raise TextError(f"empty {what}")
    if len(tidied) > MAX_CHARS:
        raise TextError(f"over-long {what}: {len(tidied):,} characters, at most {MAX_CHARS:,}")
    if not tidied.isascii() and any("\ud800" <= char <= "\udfff" or char == "\uffff" for char in tidied):
        raise TextError(f"broken {what}: lone surrogates, wanted valid Unicode")
    return tidied


def harmless(text: str) -> bool:
    """Whether the text holds neither of the brackets one of which every reserved string holds: it has no markup."""
    return "<" not in text and "[" not in text


@dataclass(frozen=True)
class Reserved:
    """Strings that mean something to a syntax, as patterns: how they are found, quoted in text, and unquoted."""

    markup: re.Pattern[str]
    quotable: re.Pattern[str]
    quoted: re.Pattern[str]

    def quote(self, text: str) -> str:
        """The text with every reserved string made harmless; ``unquote`` gives the text back."""
        return text if harmless(text) else self.quotable.sub(lambda first: first.group() + "\\", text)

    def unquote(self, text: str) -> str:
        """The text that ``quote`` was given."""
        return text if harmless(text) else self.quoted.sub(lambda first: first.group()[0], text)

    def found(self, text: str) -> str | None:
        """The first reserved string that stands unquoted in the text, or None."""
        match = self.markup.search(text)
        return match.group() if match else None


def reserved(strings: Sequence[str], patterns: Sequence[tuple[str, str]] = ()) -> Reserved:
    """What reserves the strings, and patterns of a first character and a rest; each begins with ``<``, ``[`` or ``{``.

    None may begin inside another one, except at its last character, and each holds ``<`` or ``[``.
    """
    pairs = [*((string[0], re.escape(string[1:])) for string in strings), *patterns]
    rests = {first: "|".join(rest for at, rest in pairs if at == first) for first, _ in pairs}
    return Reserved(
        re.compile("|".join(re.escape(first) + rest for first, rest in pairs)),
        re.compile("|".join(rf"{re.escape(first)}(?=\\*(?:{rest}))" for first, rest in rests.items())),
        re.compile("|".join(rf"{re.escape(first)}\\(?=\\*(?:{rest}))" for first, rest in rests.items())),
    )


_OURS = reserved(RESERVED)


def quote(text: str) -> str:
    """The text with every reserved string made harmless; ``unquote`` gives the text back."""
    return text if harmless(text) else _OURS.quote(text)


def unquote(text: str) -> str:
    """The text that ``quote`` was given."""
    return text if harmless(text) else _OURS.unquote(text)


def markup(text: str) -> str | None:
    """The first reserved string that stands unquoted in the text, or None."""
    return _OURS.found(text)
