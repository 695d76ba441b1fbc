"""Croissant 1.0 metadata of a pool (docs.mlcommons.org/croissant): its shards with their digests, and its records."""

import json
from collections.abc import Sequence
from typing import Any

from pipelines.report.figures import Report

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
# Of each kind of member of a tar: its form, what its content is read as, and what it is.
_MEMBERS = {
    "json": (
        "application/json",
        "sc:Text",
        "One picture (or none) with all its records as JSON: conversations, exact boxes, what they are worded from.",
    ),
    "jpg": ("image/jpeg", "sc:ImageObject", "The picture that a sample of the same key speaks of."),
}


def croissant(told: Report) -> str:
    """The metadata as JSON-LD, its files named relative to the pool's folder."""
    (pool,) = told.pools
    kinds = [kind for kind in _MEMBERS if kind == "json" or told.pictures]
    tars = [
        {
            "@type": "cr:FileObject",
            "@id": tar.name,
            "name": tar.name,
            "contentUrl": tar.name,
            "contentSize": f"{tar.bytes} B",
            "encodingFormat": "application/x-tar",
            "sha256": tar.sha256,
        }
        for tar in pool.tars
    ]
    licences = dict.fromkeys(one.licence for one in told.sources if one.licence)
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": told.name,
        "description": (
            f"{told.records:,} instruction records about {told.pictures:,} pictures, boxes as tokens on a grid of 0 to "
            f"100 and as exact fractions; a pool of WebDataset shards made by Boxcar {told.boxcar}."
        ),
        "version": told.boxcar,
        "license": list(licences) or ["unknown"],
        "citeAs": "\n".join(dict.fromkeys(one.citation for one in told.sources if one.citation)),
        "keywords": sorted({part.task or "chat" for part in told.parts}),
        "isBasedOn": [one.homepage for one in told.sources if one.homepage],
        "identifier": told.digest,
        "distribution": [*tars, *(_files(kind, tars) for kind in kinds)],
        "recordSet": [_records(kind) for kind in kinds],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _files(kind: str, tars: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{kind}-members",
        "name": f"{kind}-members",
        "containedIn": [{"@id": tar["@id"]} for tar in tars],
        "encodingFormat": _MEMBERS[kind][0],
        "includes": f"*.{kind}",
    }


def _records(kind: str) -> dict[str, Any]:
    _, content, what = _MEMBERS[kind]
    name = "samples" if kind == "json" else "pictures"
    key = {"extract": {"fileProperty": "filename"}, "transform": {"regex": rf"^(.+)\.{kind}$"}}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": what,
        "key": {"@id": f"{name}/key"},
        "field": [
            _field(f"{name}/key", "What a sample's members are called.", "sc:Text", kind, key),
            _field(f"{name}/{kind}", what, content, kind, {"extract": {"fileProperty": "content"}}),
        ],
    }


def _field(name: str, what: str, content: str, kind: str, how: dict[str, Any]) -> dict[str, Any]:
    source = {"fileSet": {"@id": f"{kind}-members"}, **how}
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": what,
        "dataType": content,
        "source": source,
    }
