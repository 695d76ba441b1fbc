"""The rows of COCO instances: a picture with all its regions, taken apart by category or one by one."""

from collections.abc import Iterator, Mapping

import msgspec

from converters._coco import Category, Region, outer, picture_ref, pictures
from converters._read import Broken, items, read
from converters._table import Pictured, Reading, Row, malformed


class Instance(Region, frozen=True, gc=False):
    """An entry of ``annotations``; the segmentation stays undecoded until it is compared with the box."""

    category_id: int
    iscrowd: int = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"null")
    broken: str = ""  # why the rest of it could not be typed; it still counts as one of its category


class _Ids(msgspec.Struct, frozen=True):
    id: int
    image_id: int
    category_id: int


class Annotated(Pictured, frozen=True, kw_only=True):
    """All that is annotated on one picture, and the names of the categories."""

    instances: list[Instance]
    categories: Mapping[int, str]


class Kind(Pictured, frozen=True, kw_only=True):
    """All regions of one category on one picture; name None where the file does not list the category."""

    name: str | None
    instances: list[Instance]


def rows(reading: Reading) -> Iterator[Row]:
    """One row per picture that has annotations."""
    (path,) = reading.files
    file = outer(read(path), path)
    known = pictures(file.images, path)
    categories = {c.id: c.name for c in items(file.categories, Category, path) if not isinstance(c, Broken)}
    by_picture: dict[int, list[Instance]] = {}
    for entry in items(file.annotations, Instance, path):
        instance = _known(entry) if isinstance(entry, Broken) else entry
        if instance:
            by_picture.setdefault(instance.image_id, []).append(instance)
        elif isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
    for number in list(by_picture):
        instances = by_picture.pop(number)  # let go of what has been read
        yield Annotated(
            source=reading.source,
            split=reading.split,
            id=str(number),
            image=picture_ref(number, known),
            instances=instances,
            categories=categories,
        )


def _known(entry: Broken) -> Instance | None:
    # Left out, it would make "the only one" and "all of them" false of the others of its category.
    try:
        ids = msgspec.json.decode(entry.item, type=_Ids)
    except msgspec.DecodeError:
        return None
    return Instance(ids.id, ids.image_id, (0, 0, 0, 0), ids.category_id, broken=entry.why)


def kinds(row: Annotated) -> Iterator[Kind]:
    """The picture's categories, each with all its regions, crowds too."""
    by_category: dict[int, list[Instance]] = {}
    for instance in row.instances:
        by_category.setdefault(instance.category_id, []).append(instance)
    for category, instances in sorted(by_category.items()):
        yield _kind(row, f"{row.id}-{category}", instances)


def regions(row: Annotated) -> Iterator[Kind]:
    """The picture's regions, each alone."""
    return (_kind(row, str(instance.id), [instance]) for instance in row.instances)


def _kind(row: Annotated, id: str, instances: list[Instance]) -> Kind:
    name = row.categories.get(instances[0].category_id)
    return Kind(source=row.source, split=row.split, id=id, image=row.image, name=name, instances=instances)
