"""The token ids of a draw, coloured by what the loss is taken of; the one module here that needs ``tokenizers``."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.dialogue import IGNORED, PICTURE, Dialogue, dialogue, encoded, joined
from pipelines.tokenizer import load_tokenizer
from pipelines.view.stream import Tokens
from schemas.errors import BoxcarError
from schemas.record import Record

PICTURE_TOKENS = 256  # MiniGPT-v2's: 448 px in patches of 14, four of them joined
MOST = 3000  # of a draw; how many more there are is said
SEEN, TRAINED, BOXED, OTHER = "seen", "trained", "boxed", "other"


def tokens_by(tokenizer: Path) -> Tokens:
    """What gives the tokens of a draw, by the tokenizer of a file or folder; what it refuses is told as a text."""
    by = dialogue(load_tokenizer(tokenizer), PICTURE_TOKENS)

    def found(records: Sequence[Record], picture: bool) -> list[tuple[str, str, int]] | str:
        try:
            return tokens(by, records, picture)
        except BoxcarError as error:
            return str(error)

    return found


def tokens(by: Dialogue, records: Sequence[Record], picture: bool) -> list[tuple[str, str, int]]:
    """Each token of a sequence: its text, whether it is seen only, trained, or trained and of a box; and its id.

    Those of the picture are one, ``other``, whose number is how many they are.
    """
    one = joined([encoded(by, record.messages, picture=picture, key=record.key) for record in records])
    found: list[tuple[str, str, int]] = []
    for id_, label, boxed in zip(one.ids, one.labels, one.boxed, strict=True):
        if id_ != PICTURE:
            kind = SEEN if label == IGNORED else BOXED if boxed else TRAINED
            found.append((str(by.tokenizer.id_to_token(id_)), kind, id_))
        elif not found or found[-1][1] != OTHER:
            found.append(("picture", OTHER, by.picture_tokens))
    left = len(found) - MOST
    return found if left <= 0 else [*found[:MOST], ("more", OTHER, left)]
