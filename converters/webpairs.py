"""Captioned web pictures known by their links: CC3M, CC12M, SBU, and the captions that BLIP wrote for them.

Reads lists of links, to be fetched or to be converted without pictures, and what img2dataset left of them. The lists:
  cc3m        Train_GCC-training.tsv and Validation_GCC-1.1.0-Validation.tsv: caption, TAB, link; mirrors leave out the
              first word (github.com/google-research-datasets/conceptual-captions)
  cc12m       cc12m.tsv: link, TAB, caption (github.com/google-research-datasets/conceptual-12m)
  sbu         sbu-captions-all.json, one object of parallel arrays; or the older pair of text files, a link and a
              caption per line; or LAVIS's sbu.json, a list of objects (cs.rice.edu/~vo9/sbucaptions)
  blip_ccs    ccs_filtered.json, ccs_synthetic_filtered.json and ccs_synthetic_filtered_large.json: arrays of gigabytes
  blip_laion  of {"url": ..., "caption": ...}; the same with laion_ for ccs_ (github.com/salesforce/BLIP)
Each row gives one ``caption`` record. Quirks: in the TSVs nothing is quoted, a lone quotation mark is text, and a
header is there only where somebody put one for img2dataset; CC3M's captions are lower-cased tokens with "person" for
names, CC12M's have <PERSON>, which stays; SBU's photos are Flickr's, many of which are gone, some replaced by one
placeholder. A link and its caption together are a row: the same twice is a duplicate, two captions of a link are not.
Sharma et al., Conceptual Captions, 2018; Changpinyo et al., Conceptual 12M, 2021; Ordonez et al., Im2Text, 2011;
Li et al., BLIP, 2022.
"""

from converters._pairs import captioned, pair_source
from converters._table import Form, LinkList
from converters._web import Entry, link_form

_CC3M = LinkList("tsv", "url", "caption", columns=("caption", "url"))
_CC12M = LinkList("tsv", "url", "caption", columns=("url", "caption"))
_SBU = LinkList("arrays", "image_urls", "captions")
_SBU_OLD = LinkList("texts", "url", "caption", columns=("url", "caption"))
_OBJECTS = LinkList("json", "url", "caption")
_CC3M_COUNTS = {"train": 3_318_333, "val": 15_840}
_SBU_COUNTS = {"train": 1_000_000}
_TRAIN = {"train": ""}
_OLD = "SBU_captioned_photo_dataset_"


def _form(name: str, files: tuple[str, ...], links: LinkList, counts: dict[str, int]) -> Form:
    return link_form(name, files, _TRAIN, links, Entry, captioned, counts)


def _cc3m(name: str, train: str, val: str) -> Form:
    splits = {"train": train, "val": val}
    return link_form(name, ("{split}.tsv",), splits, _CC3M, Entry, captioned, _CC3M_COUNTS)


def _blip(prefix: str) -> tuple[Form, ...]:
    names = {"synthetic_large": "synthetic_filtered_large", "synthetic": "synthetic_filtered", "web": "filtered"}
    return tuple(_form(name, (f"{prefix}_{file}.json",), _OBJECTS, {}) for name, file in names.items())


CONVERTERS = (
    pair_source(
        "cc3m",
        "Conceptual Captions (CC3M)",
        (
            _cc3m("links", "Train_GCC-training", "Validation_GCC-1.1.0-Validation"),
            _cc3m("mirror", "GCC-training", "GCC-1.1.0-Validation"),
        ),
        {"train": "train", "val": "eval"},
        licence="free for any purpose, as is, credit Google (captions); the pictures are their owners'",
        citation="Sharma et al. 2018, aclanthology.org/P18-1238",
        homepage="https://ai.google.com/research/ConceptualCaptions/download",
        notes="a download of val needs a folder of its own",
    ),
    pair_source(
        "cc12m",
        "Conceptual 12M",
        (_form("links", ("cc12m.tsv",), _CC12M, {"train": 12_423_374}),),
        {"train": "train"},
        licence="free for any purpose, as is, credit Google (captions); the pictures are their owners'",
        citation="Changpinyo et al. 2021, arXiv:2102.08981",
        homepage="https://github.com/google-research-datasets/conceptual-12m",
        notes="some 63,000 links are CC3M's too",
    ),
    pair_source(
        "sbu",
        "SBU Captions",
        (
            _form("links", ("sbu-captions-all.json",), _SBU, _SBU_COUNTS),
            _form("texts", (f"{_OLD}urls.txt", f"{_OLD}captions.txt"), _SBU_OLD, _SBU_COUNTS),
            _form("lavis", ("sbu.json",), _OBJECTS, {}),
        ),
        {"train": "train"},
        places=("", "dataset"),
        licence="not stated (captions); Flickr terms (pictures)",
        citation="Ordonez et al. 2011, NeurIPS",
        homepage="https://www.cs.rice.edu/~vo9/sbucaptions/",
        notes="photos that are gone may have come as one placeholder: drop exact duplicates",
    ),
    pair_source(
        "blip_ccs",
        "BLIP's captions of CC3M, CC12M and SBU",
        _blip("ccs"),
        {"train": "train"},
        places=("", "cc_sbu_dataset"),
        licence="BSD-3-Clause (code and lists); the pictures are their owners'",
        citation="Li et al. 2022, arXiv:2201.12086",
        homepage="https://github.com/salesforce/BLIP",
        notes="MiniGPT-4 and -v2 trained on synthetic_large, downloaded to cc_sbu_dataset",
    ),
    pair_source(
        "blip_laion",
        "BLIP's captions of 115 million LAION pictures",
        _blip("laion"),
        {"train": "train"},
        places=("", "laion_dataset"),
        licence="BSD-3-Clause (code and lists); the pictures are their owners'",
        citation="Li et al. 2022, arXiv:2201.12086",
        homepage="https://github.com/salesforce/BLIP",
        notes="MiniGPT-4 and -v2 trained on synthetic_large, downloaded to laion_dataset",
    ),
)
