"""The options of a source: which there are, and which values they may have."""

import re
from collections.abc import Mapping

from converters._table import Option, Real, Source, Whole
from schemas.errors import ConfigError, unknown

_DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")


def chosen_options(source: Source, given: Mapping[str, str]) -> dict[str, str]:
    """Every option of the source with the value given or its default; ConfigError where a value is none of its."""
    for name, value in given.items():
        if name not in source.options:
            raise ConfigError(f"{source.name}: {unknown('option', name, source.options)}")
        _insist_possible(source, name, value)
    return {name: given.get(name, _default(values)) for name, values in source.options.items()}


def _default(values: Option) -> str:
    return values[0] if isinstance(values, tuple) else values.text


def _insist_possible(source: Source, name: str, value: str) -> None:
    values = source.options[name]
    if isinstance(values, tuple):
        if value not in values:
            raise ConfigError(f"{source.name}: {unknown(name, value, values)}")
    elif value != values.text and not _within(value, values):
        bounds = f"at least {values.least}" if isinstance(values, Whole) else f"{values.least} to {values.most}"
        raise ConfigError(
            f"{source.name}: {name}={value}: wanted a {'whole ' * isinstance(values, Whole)}number of {bounds}"
        )


def _within(value: str, bounds: Whole | Real) -> bool:
    if isinstance(bounds, Whole):
        return value.isascii() and value.isdigit() and int(value[:18]) >= bounds.least
    return _DECIMAL.fullmatch(value) is not None and bounds.least <= float(value) <= bounds.most
