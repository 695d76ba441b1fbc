"""Visual Genome: a phrase for each of 5.4 million regions.

Reads region_descriptions.json + image_data.json, as published (visualgenome.org); images.zip unpacks to VG_100K,
images2.zip to VG_100K_2. A region is x, y, width, height in 0-based pixels; each gives one ``refer`` record (phrase to
box) and one ``identify`` record (box to phrase). Pictures' sizes stand in image_data alone.
Quirks: ids are called ``region_id`` and ``image_id`` in v1.2, ``id`` and ``image`` in v1.0, in files of the same names,
and the id of the entry that holds a picture's regions by either, so the regions' own is read; some pictures lie in both
folders, in one as an empty file (github.com/haotian-liu/LLaVA/issues/593); 5,654 regions overhang their picture, some
lie wholly outside (github.com/ranjaykrishna/visual_genome_python_driver/issues/21), so any overhang is clipped and what
leaves less than a pixel is rejected; phrases have stray blanks, and one said twice of a picture stays.
Krishna et al., Visual Genome, 2017.
"""

from collections.abc import Iterator, Mapping

import msgspec

from converters._genome import Listed, image_id, pictures
from converters._read import Broken, decode, items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, Whole, malformed, record_of
from schemas.box import XYXY, Box, Size, encode, from_xyxy, latest, overhang
from schemas.dialect import Boxes
from schemas.errors import BoxError, Filtered, ImageError, SourceError
from schemas.prompt import Wording
from schemas.record import Pair, Record, image_ref
from schemas.text import tidy


class Described(Pictured, frozen=True, kw_only=True):
    """One region: its phrase, and (x, y, width, height) in 0-based pixels as stated, which may overhang the picture.

    ``size`` is the picture's, None where image_data lists no such picture; a region of ``max_area_px`` is too large.
    """

    phrase: str
    bbox: XYXY
    size: Size | None
    max_area_px: int | None


class _Regions(msgspec.Struct, frozen=True):
    regions: msgspec.Raw


class _Region(msgspec.Struct, frozen=True, gc=False):
    phrase: str
    x: float
    y: float
    width: float
    height: float
    region_id: int | None = None
    id: int | None = None
    image_id: int | None = None
    image: int | None = None

    def __post_init__(self) -> None:
        if (self.region_id is None and self.id is None) or (self.image_id is None and self.image is None):
            raise ValueError("no ids, wanted region_id or id, and image_id or image")


def rows(reading: Reading) -> Iterator[Row]:
    """One row per region; a picture's regions are typed when it is their turn, the file as a whole never."""
    path, image_data = reading.files
    known, most = pictures(image_data), reading.number("max_area_px")
    for index, entry in enumerate(decode(read(path), list[msgspec.Raw], path)):
        for region in _regions(entry):
            if isinstance(region, Broken):
                yield malformed(reading, f"{index}-{region.index}", region.why)
            else:
                yield _described(reading, region, known, most)


def _regions(entry: msgspec.Raw) -> Iterator[_Region | Broken]:
    try:
        yield from items(decode(entry, _Regions, "entry").regions, _Region, "entry")
    except SourceError as error:  # this entry is none, or its regions are no list: the others still are
        yield Broken(0, str(error), entry)


def _described(reading: Reading, region: _Region, known: Mapping[str, Listed], most: int | None) -> Described:
    id = image_id(region.image if region.image_id is None else region.image_id)
    picture = known.get(id)
    return Described(
        source=reading.source,
        split=reading.split,
        id=str(region.id if region.region_id is None else region.region_id),
        image=picture.image if picture else image_ref(id, None),
        folder=picture.folder if picture else "",
        phrase=region.phrase,
        bbox=(region.x, region.y, region.width, region.height),
        size=picture.size if picture else None,
        max_area_px=most,
    )


def refer(row: Described, wording: Wording) -> Record:
    """Phrase to box."""
    box, notes = placed(row, wording)
    slot, tokens = Pair("phrase", tidy(row.phrase, "phrase")), Boxes((encode(box, wording.codec),))
    return record_of(row, "refer", slots=[slot], reply=[tokens], boxes=[box], wording=wording, meta=notes)


def identify(row: Described, wording: Wording) -> Record:
    """Box to phrase: the same pair reversed."""
    box, notes = placed(row, wording)
    slot, phrase = Pair("box", "0"), tidy(row.phrase, "phrase")
    return record_of(row, "identify", slots=[slot], reply=[phrase], boxes=[box], wording=wording, meta=notes)


@latest
def placed(row: Described, wording: Wording) -> tuple[Box, list[Pair]]:
    """The region's box, clipped to its picture whatever its overhang, and a note of how far where it was."""
    x, y, w, h = row.bbox
    if row.max_area_px is not None and w * h >= row.max_area_px:
        raise Filtered(f"region too large: {w:g}x{h:g} px, wanted under {row.max_area_px:,}")
    if row.size is None:
        raise ImageError(f"picture not in image_data: region {row.id} is one of {row.image.id}")
    if not (w > 0 and h > 0):
        raise BoxError(f"empty box: region {row.id} is {w:g}x{h:g} px")
    edges = (max(x, 0.0), max(y, 0.0), min(x + w, row.size.width), min(y + h, row.size.height))
    if edges[2] - edges[0] < 1 or edges[3] - edges[1] < 1:
        raise BoxError(f"region outside the picture: xywh {row.bbox}, picture {row.size.width}x{row.size.height}")
    beyond = overhang((x, y, x + w, y + h), row.size)
    return from_xyxy(edges, row.size), [Pair("clipped_px", f"{beyond:.2f}")] if beyond else []


_FILES = ("region_descriptions.json", "image_data.json")
_FORM = Form("regions", _FILES, {"train": "train"}, rows, Shape("list", frozenset({"regions"})), {"train": 5_408_689})

CONVERTERS = (
    Source(
        name="vg",
        title="Visual Genome region descriptions",
        collection="vg",
        splits={"train": "train"},
        forms=(_FORM,),
        variants=(
            Variant("refer", candidate="a region", record=refer, boxed=True),
            Variant("identify", candidate="a region", record=identify, boxed=True),
        ),
        unit="regions",
        counted=("refer", "identify"),
        licence="CC-BY-4.0",
        citation="Krishna et al. 2017, arXiv:1602.07332",
        homepage="https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
        options={"max_area_px": Whole(None)},
        notes="max_area_px=16384 keeps the regions that MiniGPT-v2's recipe keeps; the count is that of v1.2",
    ),
)
