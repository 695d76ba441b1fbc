"""A dataset card: Markdown with the front matter that the Hugging Face hub reads."""

from collections.abc import Iterator

import yaml

from converters._table import CHAT
from pipelines.report.figures import PartFigures, Report

# What the hub calls them: huggingface.co/docs/hub/datasets-cards.
_CATEGORIES = {
    "caption": "image-to-text",
    "grounding": "image-to-text",
    "refer": "object-detection",
    "identify": "image-to-text",
    "detection": "object-detection",
    "vqa": "visual-question-answering",
    CHAT: "image-text-to-text",
}
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGER = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"))
_MARKS = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#~"})


def card(told: Report) -> str:
    """The card; of a pool its shards are named as files of the dataset, each sample in one split."""
    front = yaml.safe_dump(_front(told), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(_body(told)) + "\n"


def _front(told: Report) -> dict[str, object]:
    tasks = {_CATEGORIES[part.task or CHAT] for part in told.parts}
    samples = told.pictures + told.text_samples
    size = next((name for bound, name in (*_SIZES, *_LARGER) if samples < bound), "10B<n<100B")
    found: dict[str, object] = {
        "pretty_name": told.name,
        "license": "other",
        "license_name": "terms-of-each-source",
        "task_categories": sorted(tasks),
        "size_categories": [size],
        "tags": ["webdataset", "boxcar", "grounding"],
    }
    if told.kind == "pool":
        files = [{"split": "train", "path": f"{told.name}-*.tar"}]
        found["configs"] = [{"config_name": "default", "data_files": files}]
    return found


def _body(told: Report) -> Iterator[str]:
    yield f"# {_plain(told.name)}"
    yield ""
    yield (
        f"{told.records:,} instruction records about {told.pictures:,} pictures"
        f"{f' and {told.text_samples:,} texts without one' if told.text_samples else ''}, boxes as tokens on a grid of "
        f"0 to 100 (`{{<x1><y1><x2><y2>}}`) and as exact fractions. Made by Boxcar {told.boxcar}; digest "
        f"`{told.digest}`."
    )
    yield from ("", "## Parts", "")
    yield "| source | split | task | for | records | pictures | boxes | self-IoU | words | tokens |"
    yield "|---|---|---|---|--:|--:|--:|--:|--:|--:|"
    yield from map(_line, told.parts)
    yield from ("", "Self-IoU is what the grid leaves of boxes; words and tokens are means a record, tokens counted by")
    yield f"{_plain(told.tokens)}."
    yield from (
        "",
        "## Where rows went",
        "",
        "| part | candidates | written | rejected | filtered |",
        "|---|--:|--:|--:|--:|",
    )
    for tally in told.ledger:
        numbers = (tally.candidates, tally.written, tally.rejects, tally.left_out)
        yield f"| {_plain(str(tally.part))} | {' | '.join(f'{number:,}' for number in numbers)} |"
    yield from ("", "## Pictures", "", _pictures(told))
    yield from ("", "## Licences and citations", "", "Datasets stay under their owners' terms.", "")
    for one in told.sources:
        rest = [_plain(text) for text in (one.licence, one.citation, one.homepage) if text]
        yield f"* **{_plain(one.title)}** ({_plain(one.name)}): {'. '.join(rest)}"


def _line(part: PartFigures) -> str:
    cells = (
        *map(_plain, (part.source, part.split, part.task or CHAT, part.use)),
        *(f"{number:,}" for number in (part.records, part.pictures, part.boxes)),
        f"{part.loss.mean:.3f}" if part.loss else "",
        f"{part.words.mean:.1f}" if part.words else "",
        f"{part.tokens.mean:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _pictures(told: Report) -> str:
    found = told.duplicates
    again = (
        f"{found.exact:,} of {found.pictures:,} have the bytes of an earlier one, {found.near:,} more are within "
        f"{found.radius} bits of the likeness of an earlier one."
    )
    if told.held_out is not None:
        names = ", ".join(one.split for one in told.held_out) or "none"
        return f"{again} Splits held out: {_plain(names)}."
    if told.leaks is None:
        return f"{again} No split of it is for evaluation."
    shown = sum(one.records for one in told.leaks)
    return f"{again} {shown:,} records of training parts are about pictures that its splits for evaluation show."


def _plain(text: str) -> str:
    return " ".join(text.split()).translate(_MARKS)
