"""The sample's schema for others: JSON Schema, and the features that Hugging Face ``datasets`` takes.

``python -m schemas.export`` writes ``sample.schema.json`` beside this file; a test keeps it fresh.
"""

import json
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from schemas.box import Box
from schemas.record import Sample

PATH = Path(__file__).parent / "sample.schema.json"
_DTYPES = {inspect.StrType: "string", inspect.IntType: "int64", inspect.FloatType: "float64"}


def json_schema() -> str:
    """The JSON Schema of a sample's ``.json`` member, as text."""
    schema = msgspec.json.schema(Sample)
    for struct in schema["$defs"].values():
        struct["description"] = cleandoc(struct["description"])  # Python 3.13 unindents docstrings, 3.11 does not
    return json.dumps(schema, indent=1) + "\n"


def features() -> dict[str, Any]:
    """What ``datasets.Features.from_dict`` takes to read a pool's tars: jpg, json, and the loader's own two columns.

    Without it ``datasets`` guesses from the first five samples and fails where later ones fill other fields.
    """
    text = {"dtype": "string", "_type": "Value"}
    sample = _feature(inspect.type_info(Sample))
    return {"jpg": {"_type": "Image"}, "json": sample, "__key__": text, "__url__": text}


def _feature(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        if kind.cls is Box:
            return {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"}
        return {field.encode_name: _feature(field.type) for field in kind.fields}
    if isinstance(kind, inspect.ListType):
        return {"feature": _feature(kind.item_type), "_type": "List"}
    if isinstance(kind, inspect.LiteralType):
        return {"dtype": "string", "_type": "Value"}
    return {"dtype": _DTYPES[type(kind)], "_type": "Value"}


if __name__ == "__main__":
    PATH.write_text(json_schema(), encoding="utf-8")
