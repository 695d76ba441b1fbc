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

from converters._block import InBlocks, Told
from converters._regions import Described, blocks
from converters._table import Form, Shape, Source, Variant, Whole, record_of
from schemas.box import Box, encode, from_xyxy, latest, overhang
from schemas.dialect import Boxes
from schemas.errors import BoxError, Filtered, ImageError
from schemas.prompt import Wording
from schemas.record import Pair, Record
from schemas.text import tidy


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
_SHAPE = Shape("list", frozenset({"regions"}))
_FORM = Form("regions", _FILES, {"train": "train"}, InBlocks(blocks), _SHAPE, {"train": 5_408_689})

CONVERTERS = (
    Source(
        name="vg",
        title="Visual Genome region descriptions",
        collection="vg",
        splits={"train": "train"},
        forms=(_FORM,),
        variants=(
            Variant("refer", "a region", Told(refer, "refer", slot="phrase", reply="box"), boxed=True),
            Variant(
                "identify",
                candidate="a region",
                record=Told(identify, "identify", slot="box", reply="text"),
                boxed=True,
            ),
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
