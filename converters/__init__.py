"""Datasets: one module per raw shape, a table row per source. Imports schemas only.

A module that does not begin with an underscore ends with ``CONVERTERS``, its rows of the table; finding them is a scan
of this folder, so a new source is registered by being there.
"""

import importlib
import pkgutil
from functools import cache

from converters._collections import COLLECTIONS
from converters._table import Collection, Source
from schemas.errors import BoxcarError, ConfigError, unknown


@cache
def sources() -> dict[str, Source]:
    """Every source by name, sorted; BoxcarError where two rows share a name."""
    found: dict[str, Source] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")):
        for source in importlib.import_module(f"{__name__}.{module}").CONVERTERS:
            if source.name in found:
                raise BoxcarError(f"source {source.name!r} stands in the table twice, again in converters/{module}.py")
            found[source.name] = source
    return dict(sorted(found.items()))


def find(name: str) -> Source:
    """The source of that name; ConfigError with near names where there is none."""
    if name not in sources():
        raise ConfigError(unknown("source", name, sources()))
    return sources()[name]


def collection(name: str) -> Collection:
    """The collection of that name; ConfigError with near names where there is none."""
    if name not in COLLECTIONS:
        raise ConfigError(unknown("collection", name, COLLECTIONS))
    return COLLECTIONS[name]
