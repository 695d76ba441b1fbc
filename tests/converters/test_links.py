"""Lists of links: every row of every published kind comes, in batches, and nothing of it is lost."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters._link_rows import link_rows
from converters._links import batches
from converters._table import LinkList
from schemas.errors import SourceError

CC3M = LinkList("tsv", "url", "caption", columns=("caption", "url"))
CC12M = LinkList("tsv", "url", "caption", columns=("url", "caption"))
PARQUET = LinkList("parquet", "URL", "TEXT", keep=("similarity", "boxes"))
OBJECTS = LinkList("json", "url", "caption")
LINES = LinkList("jsonl", "url", "caption", keep=("id", "boxes"))
ARRAYS = LinkList("arrays", "image_urls", "captions", keep=("user_ids",))
TEXTS = LinkList("texts", "url", "caption", columns=("url", "caption"))
A, B, C = "http://a.example/1.jpg", "https://b.example/2.png?x=1", "http://c.example/\u00e9.jpg"
NOTHING = {"url": None, "caption": None}


def rows(links: LinkList, *files: Path, at_once: int = 1000) -> list[dict[str, Any]]:
    return [row for batch in batches(links, [str(file) for file in files], at_once) for row in batch.to_pylist()]


def pairs(links: LinkList, *files: Path) -> list[tuple[Any, Any]]:
    return [(row["url"], row["caption"]) for row in rows(links, *files)]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_tsv_has_no_quoting_and_keeps_every_letter_of_a_caption(tmp_path: Path) -> None:
    said = [
        'a "quoted',
        '"',
        "caf\u00e9 \U0001f600",
        "it's \\n",
        "with\rreturn",
        " spaced  out ",
        "\u2028line",
        "\x00",
        "",
    ]
    file = written(tmp_path / "a.tsv", "".join(f"{text}\t{A}\n" for text in said).encode())
    assert pairs(CC3M, file) == [(A, text) for text in said]


def test_a_tab_too_many_is_the_captions_whichever_comes_first(tmp_path: Path) -> None:
    caption_first = written(tmp_path / "a.tsv", f"one\ttwo\tthree\t{A}\n".encode())
    link_first = written(tmp_path / "b.tsv", f"{A}\tone\ttwo\tthree\n".encode())
    assert pairs(CC3M, caption_first) == pairs(CC12M, link_first) == [(A, "one\ttwo\tthree")]


def test_a_line_without_a_tab_or_of_broken_letters_is_a_row_of_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", f"{A}\tone\n\nno tab\n{B}\t\xff\n".encode("latin-1") + f"{C}\tlast".encode())
    assert rows(CC12M, file) == [{"url": A, "caption": "one"}, NOTHING, NOTHING, NOTHING, {"url": C, "caption": "last"}]


def test_an_endless_line_is_one_row_of_nothing_and_is_never_held(tmp_path: Path) -> None:
    endless = f"{A}\t".encode() + b"x" * (3 * 2**20 + 5)
    file = written(tmp_path / "a.tsv", f"{A}\tone\n".encode() + endless + b"\t\n" + f"{B}\ttwo\n".encode() + endless)
    assert pairs(CC12M, file) == [(A, "one"), (None, None), (B, "two"), (None, None)]


def test_windows_line_ends_and_blanks_around_a_link_change_no_link(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", f"one\t{A}\r\ntwo\t {B} \r\n".encode())
    assert pairs(CC3M, file) == [(A, "one"), (B, "two")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_mark_of_utf8_before_the_first_change_no_row(tmp_path: Path, end: str, mark: bytes) -> None:
    urls = written(tmp_path / "urls.txt", mark + f"{A}{end}{B}{end}".encode())
    captions = written(tmp_path / "captions.txt", mark + f"o\rne{end}\ufefftwo".encode())
    tsv = written(tmp_path / "a.tsv", mark + f"{A}\to\rne{end}{B}\t\ufefftwo".encode())
    lines = [f'{{"url": "{A}", "caption": "o\\rne"}}', f'{{"url": "{B}", "caption": "\ufefftwo"}}']
    jsonl = written(tmp_path / "a.jsonl", mark + end.join(lines).encode())
    wanted = [(A, "o\rne"), (B, "\ufefftwo")]
    assert pairs(TEXTS, urls, captions) == pairs(CC12M, tsv) == pairs(LINES, jsonl) == wanted
    (tmp_path / "b.tsv").write_bytes(mark + f"url\tcaption{end}".encode() + tsv.read_bytes().removeprefix(mark))
    assert pairs(CC12M, tmp_path / "b.tsv") == wanted


def test_one_return_is_the_line_ends_and_any_other_the_captions(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", f"{A}\tone\r\r\n".encode())
    assert pairs(CC12M, file) == [(A, "one\r")]


@pytest.mark.parametrize("data", [b"", b"\xef", b"\xef\xbb\xbf", b"\n"])
def test_a_list_of_next_to_nothing_is_none(tmp_path: Path, data: bytes) -> None:
    assert pairs(CC12M, written(tmp_path / "a.tsv", data)) == [(None, None)] * (data in (b"\n", b"\xef"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_that_somebody_put_there_is_no_row_but_only_in_the_first_line(tmp_path: Path, end: str) -> None:
    file = written(tmp_path / "a.tsv", f"caption\turl{end}one\t{A}{end}caption\turl{end}".encode())
    assert pairs(CC3M, file) == [(A, "one"), ("url", "caption")]


def test_batches_have_at_most_so_many_rows_and_the_columns_in_order(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tsv", "".join(f"{n}\t{A}\n" for n in range(7)).encode())
    found = list(batches(CC3M, [str(one)], 3))
    assert [batch.num_rows for batch in found] == [3, 3, 1]
    assert {batch.schema for batch in found} == {pa.schema({"url": pa.string(), "caption": pa.string()})}


def parquet(path: Path, columns: dict[str, pa.Array]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_parquet_keeps_the_types_of_kept_columns_and_leaves_out_those_it_lacks(tmp_path: Path) -> None:
    boxes = pa.array([[[0.0, 3.0, 0.1]], [], None], pa.list_(pa.list_(pa.float64())))
    columns = {"x": pa.array([1, 2, 3]), "TEXT": pa.array(["one", None, "three"]), "URL": pa.array([A, B, C])}
    file = parquet(tmp_path / "a.parquet", {**columns, "boxes": boxes})
    found = list(batches(PARQUET, [str(file)], 2))
    assert [batch.num_rows for batch in found] == [2, 1]
    assert found[0].schema == pa.schema({"url": pa.string(), "caption": pa.string(), "boxes": boxes.type})
    assert pa.Table.from_batches(found).to_pylist() == [
        {"url": A, "caption": "one", "boxes": [[0.0, 3.0, 0.1]]},
        {"url": B, "caption": None, "boxes": []},
        {"url": C, "caption": "three", "boxes": None},
    ]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_text_of_any_arrow_type_comes_as_text(tmp_path: Path, kind: pa.DataType) -> None:
    told = (
        pa.array(["one", "two"]).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(["one", "two"], kind)
    )
    file = parquet(tmp_path / "a.parquet", {"URL": pa.array([A, B]), "TEXT": told})
    assert next(batches(PARQUET, [str(file)], 9)).schema.field("caption").type == pa.string()
    assert pairs(PARQUET, file) == [(A, "one"), (B, "two")]


def test_text_of_a_parquet_that_is_no_utf8_costs_its_own_row_alone(tmp_path: Path) -> None:
    told = pa.array([b"one", b"\xff\xfe", b"caf\xc3\xa9"])
    file = parquet(
        tmp_path / "a.parquet", {"URL": pa.array([A, B, C]), "TEXT": told, "similarity": pa.array([0.1, 0.2, 0.3])}
    )
    assert rows(PARQUET, file) == [
        {"url": A, "caption": "one", "similarity": 0.1},
        {"url": None, "caption": None, "similarity": None},
        {"url": C, "caption": "caf\u00e9", "similarity": 0.3},
    ]


def test_a_parquet_without_its_columns_and_one_that_is_none_say_so(tmp_path: Path) -> None:
    lacking = parquet(tmp_path / "a.parquet", {"url": pa.array([A]), "TEXT": pa.array(["one"])})
    with pytest.raises(SourceError, match=r"a\.parquet: 0 columns are called URL: wanted one"):
        rows(PARQUET, lacking)
    whole = parquet(tmp_path / "b.parquet", {"URL": pa.array([A] * 99), "TEXT": pa.array(["one"] * 99)}).read_bytes()
    for content in (b"", b"PAR1", whole[:-9], b"<html>" * 99):
        with pytest.raises(SourceError, match=r"b\.parquet: not a readable parquet"):
            rows(PARQUET, written(tmp_path / "b.parquet", content))


def test_an_item_of_another_type_is_one_row_of_nothing(tmp_path: Path) -> None:
    items = (
        f'{{"url": "{A}", "caption": "one"}}, 7, null, [{{}}], {{"url": 3, "caption": "x"}}, {{"caption": "no link"}}'
    )
    more = f'{{"url": "{B}", "caption": ["x"]}}, nonsense, {{"caption": null, "url": "{C}", "more": {{"a": [1]}}}}'
    file = written(tmp_path / "a.json", f"[{items}, {more}]".encode())
    assert pairs(OBJECTS, file) == [
        (A, "one"), *[(None, None)] * 4, (None, "no link"), *[(None, None)] * 2, (C, None),
    ]  # fmt: skip


def test_no_row_that_could_not_be_typed_leaves_the_reader_of_text(tmp_path: Path) -> None:
    objects = written(tmp_path / "a.json", b'[{"url": "a", "caption": 3}, {"url": 3, "caption": "a"}]')
    assert list(link_rows(OBJECTS, [str(objects)])) == [(None, None)] * 2
    arrays = written(tmp_path / "b.json", b'{"image_urls": ["a", 3], "captions": [3, "a"], "user_ids": [1, 2]}')
    assert list(link_rows(ARRAYS, [str(arrays)])) == [(None, None, None)] * 2


def test_half_of_a_pair_of_surrogates_costs_no_other_row(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.json", rf'[{{"url": "{A}", "caption": "\ud83d"}}, {{"url": "{B}", "caption": "b"}}]'.encode()
    )
    assert pairs(OBJECTS, file) == [(A, "\uffff"), (B, "b")]


def test_lines_of_json_keep_numbers_and_nested_lists(tmp_path: Path) -> None:
    lines = [
        f'{{"url": "{A}", "caption": "one", "id": 7, "boxes": [[0, 3, 0.5]]}}',
        "",
        "{",
        f'{{"url": "{B}", "caption": "two", "id": 8}}',
    ]
    file = written(tmp_path / "a.jsonl", "\n".join(lines).encode())
    (batch,) = batches(LINES, [str(file)], 9)
    assert batch.schema.field("id").type == pa.int64()
    assert batch.schema.field("boxes").type == pa.list_(pa.list_(pa.float64()))
    assert batch.to_pylist() == [
        {"url": A, "caption": "one", "id": 7, "boxes": [[0.0, 3.0, 0.5]]},
        {"url": None, "caption": None, "id": None, "boxes": None},
        {"url": B, "caption": "two", "id": 8, "boxes": None},
    ]


@pytest.mark.parametrize("odd", ['"x"', "[1]", "100000000000000000000", '{"a": 1}'])
def test_a_kept_value_unlike_all_others_costs_its_own_row_alone(tmp_path: Path, odd: str) -> None:
    ids = ["1", "2", odd, "3", "null"]
    lines = [f'{{"url": "{A}", "caption": "c{place}", "id": {id}}}' for place, id in enumerate(ids)]
    found = rows(LINES, written(tmp_path / "a.jsonl", "\n".join(lines).encode()))
    assert [(row["caption"], row["id"]) for row in found] == [
        ("c0", 1),
        ("c1", 2),
        (None, None),
        ("c3", 3),
        ("c4", None),
    ]


def test_parallel_arrays_are_rows(tmp_path: Path) -> None:
    text = f'{{"image_urls": ["{A}", "{B}", 7], "user_ids": ["u", null, "w"], "captions": ["one", "two", "three"]}}'
    assert rows(ARRAYS, written(tmp_path / "a.json", text.encode())) == [
        {"url": A, "caption": "one", "user_ids": "u"},
        {"url": B, "caption": "two", "user_ids": None},
        {"url": None, "caption": None, "user_ids": None},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"image_urls": ["a"], "captions": []}', "has no 'user_ids'"),
        ('{"image_urls": ["a"], "captions": [], "user_ids": [1]}', r"its arrays have \[0, 1\] items"),
        ('{"image_urls": {}, "captions": [], "user_ids": []}', "not the JSON it should be"),
        ("[]", "not the JSON it should be"),
    ],
)
def test_arrays_that_are_not_parallel_are_no_source(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=rf"a\.json: {said}"):
        rows(ARRAYS, written(tmp_path / "a.json", text.encode()))


def test_parallel_files_are_rows_and_a_shorter_one_is_no_source(tmp_path: Path) -> None:
    urls = written(tmp_path / "urls.txt", f"{A}\r\n{B}\n{C}\n".encode())
    captions = written(tmp_path / "captions.txt", b"one\ttab\ntwo \xff\nthree")
    assert pairs(TEXTS, urls, captions) == [(A, "one\ttab"), (None, None), (C, "three")]
    with pytest.raises(SourceError, match=r"captions\.txt: ends after 2 lines, the one beside it goes on"):
        rows(TEXTS, urls, written(captions, b"one\ntwo\n"))
    with pytest.raises(SourceError, match=r"urls\.txt: ends after 3 lines"):
        rows(TEXTS, urls, written(captions, b"one\ntwo\nthree\n\n"))


@pytest.mark.parametrize("links", [CC3M, OBJECTS, LINES, ARRAYS, PARQUET])
def test_a_list_that_is_gone_says_so(tmp_path: Path, links: LinkList) -> None:
    with pytest.raises(SourceError, match=r"gone"):
        rows(links, tmp_path / "gone")
