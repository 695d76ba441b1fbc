"""Tokenizers of Llama's kind: one as a Llama folder holds it, or one trained on given texts.

Both are ``tokenizers.Tokenizer``: BPE on text whose blanks are ``▁``, bytes where a character is unknown, and the ids
of ``<unk> <s> </s>`` first. What looks like ``</s>`` in a text is text here: only the prompt rules put special tokens
into a sequence.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from schemas.box import BINS
from schemas.errors import ConfigError, SourceError

UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"
FILE = "tokenizer.json"
NUMBERS = tuple(str(number) for number in range(BINS + 1))
BRACKETS = ("{<", "><", ">}")

_SPECIAL = (UNKNOWN, BOS, EOS)
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BOX_PARTS = Regex(r"\{<|><|>\}|100|[1-9]?[0-9]")


def trained_tokenizer(texts: Iterable[str], vocabulary: int, *, numbers: bool = True) -> Tokenizer:
    """A tokenizer trained on the texts, of at most ``vocabulary`` tokens; the same texts give the same tokenizer.

    With ``numbers``, each of 0..100 is one token wherever it stands, and so are ``{<``, ``><`` and ``>}``: a box is
    nine tokens. ConfigError where the vocabulary has no room for what every tokenizer holds.
    """
    single = (*BRACKETS, *NUMBERS) if numbers else ()
    room = vocabulary - len(single) - len(_BYTES)
    if room < len(_SPECIAL):
        raise ConfigError(
            f"vocabulary of {vocabulary} is too small: {vocabulary - room + len(_SPECIAL)} are always there"
        )
    pieces, merges = _learned(texts, room, numbers)
    names = [*_SPECIAL, *_BYTES, *pieces]
    model = models.BPE(
        vocab={name: place for place, name in enumerate(names)},
        merges=merges,
        unk_token=UNKNOWN,
        fuse_unk=True,
        byte_fallback=True,
    )
    return _ready(_assembled(model, single))


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file, or of a folder's tokenizer.json; SourceError where there is none of Llama's kind."""
    file = path / FILE if path.is_dir() else path
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise SourceError(f"{file}: no tokenizer: {error}") from error
    if lacking := [name for name in (BOS, EOS) if tokenizer.token_to_id(name) is None]:
        raise SourceError(f"{file}: not a tokenizer of Llama's kind: it has no {' and no '.join(lacking)}")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _ready(tokenizer)


def number_ids(tokenizer: Tokenizer) -> list[int]:
    """The ids of 0..100 in order; empty where not each of them is one token of its own."""
    ids = [found for number in NUMBERS if (found := tokenizer.token_to_id(number)) is not None]
    return ids if len(ids) == len(NUMBERS) else []


def _learned(texts: Iterable[str], room: int, numbers: bool) -> tuple[list[str], list[tuple[str, str]]]:
    learner = Tokenizer(models.BPE(unk_token=UNKNOWN))
    apart = [pre_tokenizers.Split(_BOX_PARTS, "removed")] if numbers else []
    learner.pre_tokenizer = pre_tokenizers.Sequence([*apart, _blanks(), _marks()])
    trainer = trainers.BpeTrainer(vocab_size=room, special_tokens=list(_SPECIAL), show_progress=False)
    learner.train_from_iterator(texts, trainer)
    learned: dict[str, Any] = json.loads(learner.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    return [piece for piece in pieces if piece not in _SPECIAL], [(one, two) for one, two in learned["merges"]]


def _blanks() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)


def _marks() -> pre_tokenizers.PreTokenizer:
    # Else "square?" and "square" are two words that have nothing in common.
    return pre_tokenizers.Split(Regex(r"[.,;:?!]"), "isolated")


def _assembled(model: models.BPE, single: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_blanks(), _marks()])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in _SPECIAL])
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in single])
    return tokenizer


def _ready(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True
    return tokenizer
