"""What MiniGPT-v2's own files share: boxes that are known as 0-100 tokens in a text alone, rounded down when made.

A record's boxes are such as give the same tokens again, and its meta says that nothing finer is known. Tokens over 100,
boxes that are inverted or of no width, and markup that is not written as published are rejected, never mended.
Source: github.com/Vision-CAIR/MiniGPT-4.
"""

from collections.abc import Iterable, Mapping

from converters._table import Form, Source, Use, Variant
from schemas.box import Box, token_box
from schemas.dialect import Span
from schemas.prompt import Wording
from schemas.record import Pair

NOTE = Pair("boxes", "token-precise")
SPLITS: Mapping[str, Use] = {"train": "train"}
NAMES = {"train": "train"}


def token_boxes(spans: Iterable[Span], wording: Wording) -> list[Box]:
    """The boxes of the spans, such as the wording's codec encodes to the same tokens; else BoxError."""
    found = (bins for span in spans if not isinstance(span, str) for bins in span.boxes)
    return [token_box(bins, wording.codec) for bins in found]


def authors_source(
    name: str, title: str, collection: str, folder: str, forms: tuple[Form, ...], variant: Variant
) -> Source:
    """The table row of one of the authors' files, in the root or in the folder they name."""
    return Source(
        name=name,
        title=title,
        collection=collection,
        splits=SPLITS,
        forms=forms,
        variants=(variant,),
        unit="entries",
        counted=(variant.name,),
        licence="not stated (made from non-commercial annotations); Flickr terms (pictures)",
        citation="Chen et al. 2023, arXiv:2310.09478",
        homepage="https://github.com/Vision-CAIR/MiniGPT-4",
        places=("", folder),
        notes="boxes are known as 0-100 tokens only",
    )
