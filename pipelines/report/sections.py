"""The sections of a report's page: what became of rows, parts, boxes, words, tokens, repeats, leaks, terms."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from converters._table import CHAT
from pipelines.page import Piece, bar, percent, table, words
from pipelines.report.figures import Leak, PartFigures, Report, SourceLine
from pipelines.report.plots import classes, heat, spread, task_kind
from schemas.ledger import Count, Part, Tally

_REASONS = 24
_LISTED = 8


def ledger(told: Report) -> str:
    """Every candidate row and where it ended."""
    rows = [_line(tally) for tally in told.ledger]
    heads = ("part", "candidates", "written", "rejected", "filtered")
    reasons = _reasons(told.ledger)
    notes = sum(count.count for tally in told.ledger for count in tally.notes)
    noted = f"<h3>What was changed on the way, without losing anything</h3>{_notes(told.ledger)}" if notes else ""
    of = "" if told.kind == "pool" else " These are all parts of the lock's pools, as they were built."
    return (
        f"<p>Every candidate ends in exactly one of written (green), rejected for a reason (red) or filtered by a "
        f"stated rule (grey).{of}</p>{_wide(table(heads, rows))}{reasons}{noted}"
    )


def _line(tally: Tally) -> str:
    whole = tally.candidates or 1
    ends = (("good", tally.written), ("gone", tally.rejects), ("filtered", tally.left_out))
    numbers = [f"{number:,}" for number in (tally.candidates, tally.written, tally.rejects, tally.left_out)]
    return _row(tally.part, numbers, [Piece(kind, number / whole) for kind, number in ends])


def _reasons(tallies: Sequence[Tally]) -> str:
    found = [
        (count.count, f"{what}: {count.name}", tally.part, kind)
        for tally in tallies
        for what, counts, kind in (("rejected", tally.rejected, "gone"), ("filtered", tally.filtered, "filtered"))
        for count in counts
    ]
    if not found:
        return '<p class="note">No row was rejected or filtered.</p>'
    found.sort(key=lambda one: (-one[0], one[1], str(one[2])))
    rest = sum(one[0] for one in found[_REASONS:])
    more = f'<p class="note">{rest:,} more rows for rarer reasons.</p>' if rest else ""
    rows = [
        _row(part, [f"{count:,}"], [Piece(kind, count / found[0][0])], [reason])
        for count, reason, part, kind in found[:_REASONS]
    ]
    return f"<h3>Why rows were left out</h3>{_wide(table(('part', 'reason', 'rows'), rows, texts=2))}{more}"


def _notes(tallies: Sequence[Tally]) -> str:
    rows = [_row(tally.part, [f"{count.count:,}"], None, [count.name]) for tally in tallies for count in tally.notes]
    return _wide(table(("part", "noted", "times"), rows, plot=False, texts=2))


def parts(told: Report) -> str:
    """What is in each part."""
    most = max(part.records for part in told.parts)
    heads = ("part", "for", "records", "pictures", "boxes", "boxes a record", "turns a record")
    rows = [
        _row(
            part.part,
            [
                *(f"{number:,}" for number in (part.records, part.pictures, part.boxes)),
                f"{part.boxes / part.records:.1f}",
                f"{part.turns.mean:.1f}",
            ],
            [Piece(task_kind(part.task), part.records / most)],
            [part.use],
        )
        for part in told.parts
    ]
    return f"{_wide(table(heads, rows, texts=2))}{_turns(told)}"


def _turns(told: Report) -> str:
    chats = [part for part in told.parts if part.turns.most > 1]
    if not chats:
        return '<p class="note">Every record is one question and its reply.</p>'
    plots = (_small(part, spread(part.turns, task_kind(part.task), "turns")) for part in chats)
    return f"<h3>Turns of conversations</h3>{_grid(plots)}"


def boxes(told: Report) -> str:
    """Where boxes lie, how large they are, and what the codec costs them."""
    if not told.maps:
        return "<p>No record that was read has a box.</p>"
    maps = "".join(
        f'<h3><i class="{task_kind(one.task)}"></i>{one.task or CHAT} <span>{one.boxes:,} boxes</span></h3>'
        f'<div class="maps">{heat(one.centres, f"centres of {one.boxes:,} boxes", "centre, across", "centre, down")}'
        f"{heat(one.sizes, f'sizes of {one.boxes:,} boxes', 'width', 'height', up=True)}"
        f"{classes(one.classes, task_kind(one.task))}</div>"
        for one in told.maps
    )
    return (
        "<p>On the grid of 0 to 100 that box tokens count in, two bins a cell, the stronger the more. Columns: boxes "
        "by the square root of their share of the picture, in percent.</p>" + maps
    )


def loss(told: Report) -> str:
    """What boxes lose to the grid."""
    found = [(part, part.loss) for part in told.parts if part.loss]
    if not found:
        return "<p>No record that was read has a box.</p>"
    most = max(1 - one.mean for _, one in found) or 1
    codecs = ", ".join(sorted({pool.codec for pool in told.pools}))
    rows = [
        _row(
            part.part,
            [
                f"{one.boxes:,}",
                f"{one.mean:.3f}",
                f"{one.worst:.3f}",
                f"{one.widened:,}",
                percent(one.widened, one.boxes),
            ],
            [Piece(task_kind(part.task), (1 - one.mean) / most)],
        )
        for part, one in found
    ]
    return (
        f"<p>Self-IoU: the overlap of a box with what its tokens say ({escape(codecs)}), 1 where nothing is lost. "
        "A side of no bins is widened to one. Bars: what is lost on average.</p>"
        + _wide(table(("part", "boxes read", "mean", "worst", "widened", "of all"), rows))
    )


def wording(told: Report) -> str:
    """How long records are, and what they say most often."""
    plots = (
        _small(
            part,
            spread(part.words, task_kind(part.task), "words"),
            f"mean {part.words.mean:.1f}, median {part.words.median:,}, most {part.words.most:,}",
        )
        for part in told.parts
        if part.words
    )
    lists = [*_lists(told, "answers"), *_lists(told, "phrases")]
    return (
        "<p>Words of all turns of a record, without identifiers and box tokens. Columns: records of at least so "
        "many.</p>"
        f"{_grid(plots)}<h2 id='answers'>Answers and phrases</h2><p>The most frequent of at most 80 characters: whole "
        "replies without a box, and phrases that have boxes or are asked for. Parts in which nothing comes twice are "
        f"left out.</p>{_grid(lists)}"
    )


def _lists(told: Report, what: str) -> Iterator[str]:
    for part in told.parts:
        listed: list[Count] = getattr(part, what)
        distinct = getattr(part, f"distinct_{what}")
        if listed and listed[0].count > 1:
            kind, most = task_kind(part.task), listed[0].count
            items = "".join(_item(one, kind, most) for one in listed[:_LISTED])
            yield _small(part, f'<ul class="most">{items}</ul>', f"{distinct:,} different {what}")


def _item(one: Count, kind: str, most: int) -> str:
    drawn = bar([Piece(kind, one.count / most)])
    return f'<li><span dir="auto">{words(one.name)}</span><b>{one.count:,}</b>{drawn}</li>'


def tokens(told: Report) -> str:
    """What the text costs in tokens."""
    most = max(part.tokens.total for part in told.parts) or 1
    rows = [
        _row(
            part.part,
            [f"{part.tokens.mean:.1f}", f"{part.tokens.most:,}", f"{part.tokens.total:,}"],
            [Piece(task_kind(part.task), part.tokens.total / most)],
        )
        for part in told.parts
    ]
    return (
        f"<p>Of a record's text, without its picture. Counted by {words(told.tokens)}.</p>"
        f"{_wide(table(('part', 'mean', 'most', 'all records'), rows))}"
    )


def repeats(told: Report) -> str:
    """Pictures that come again, and pictures of training that evaluation shows."""
    found = told.duplicates
    share = percent(found.exact + found.near, found.pictures)
    again = (
        f"<p>Of {found.pictures:,} pictures {found.exact:,} have the bytes of an earlier one, and {found.near:,} more "
        f"are within {found.radius} bits of the likeness of an earlier one: {share} together.</p>"
    )
    return f"{again}<h3>Leaks</h3>{_held(told) if told.held_out is not None else _leaks(told.leaks)}"


def _leaks(found: list[Leak] | None) -> str:
    if found is None:
        return "<p>No split of this pool is for evaluation, so there is nothing to compare its training parts with.</p>"
    if not found:
        return "<p>No picture of a training part is shown by a split for evaluation in this pool, under any name.</p>"
    rows = [
        _row(Part(one.source, one.split, one.task), [f"{one.records:,}", f"{one.pictures:,}"], None, [one.shown_by])
        for one in found
    ]
    return (
        "<p>Pictures of training parts that splits for evaluation in this pool show too, under whatever name. A "
        "mixture that holds these splits out leaves them out.</p>"
        + _wide(table(("part for training", "shown by", "records", "pictures"), rows, plot=False, texts=2))
    )


def _held(told: Report) -> str:
    if not told.held_out:
        return "<p>This lock holds no split out.</p>"
    rows = [
        f'<tr><td class="name">{words(one.split)}</td><td>{words(one.origin)}</td>'
        f'<td class="n">{one.images:,}</td><td class="n">{one.records:,}</td></tr>'
        for one in told.held_out
    ]
    taken = [
        _row(part.part, [f"{count.count:,}"], None, [count.name])
        for part in told.parts
        for count in [*part.lost, *part.left_out]
    ]
    lost = (
        f"<h3>What each part lost</h3>{_wide(table(('part', 'to', 'records'), taken, plot=False, texts=2))}"
        if taken
        else ""
    )
    return (
        "<p>No picture of these splits is shown by any part, under any of its names.</p>"
        + _wide(table(("held out", "known from", "pictures", "records that it cost"), rows, plot=False, texts=2))
        + lost
    )


def terms(told: Report) -> str:
    """Under which terms the sources are, and how they are cited."""
    return f"<p>Datasets stay under their owners' terms.</p>{_grid(map(_terms, told.sources))}"


def _terms(one: SourceLine) -> str:
    soft = "".join(f'<div class="note">{words(text)}</div>' for text in (one.citation, one.homepage) if text)
    name = f"{words(one.title)} <span>{words(one.name)}</span>"
    return f'<div class="terms"><h3>{name}</h3>{words(one.licence) or "terms unknown"}{soft}</div>'


def _row(part: Part, numbers: Sequence[str], pieces: Sequence[Piece] | None = None, texts: Sequence[str] = ()) -> str:
    cells = "".join(f"<td>{words(text)}</td>" for text in texts)
    cells += "".join(f'<td class="n">{words(number)}</td>' for number in numbers)
    plot = "" if pieces is None else f'<td class="plot">{bar(pieces)}</td>'
    return f'<tr><td class="name">{_named(part)}</td>{cells}{plot}</tr>'


def _named(part: Part) -> str:
    kind, name, task = task_kind(part.task), words(f"{part.source}/{part.split}"), words(part.task or CHAT)
    return f'<i class="{kind}"></i>{name} <span>{task}</span>'


def _small(part: PartFigures, drawn: str, note: str = "") -> str:
    told = f'<div class="note">{words(note)}</div>' if note else ""
    return f"<div><h3>{_named(part.part)}</h3>{told}{drawn}</div>"


def _grid(some: Iterable[str]) -> str:
    return f'<div class="grid">{"".join(some)}</div>'


def _wide(drawn: str) -> str:
    return f'<div class="wide">{drawn}</div>'


SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (
    ("ledger", "From rows to records", ledger),
    ("parts", "Parts", parts),
    ("boxes", "Boxes", boxes),
    ("loss", "What the grid costs", loss),
    ("words", "Words", wording),
    ("tokens", "Tokens", tokens),
    ("repeats", "Repeats and leaks", repeats),
    ("terms", "Licences and citations", terms),
)
