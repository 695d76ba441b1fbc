"""What every YAML that a person writes is checked with: strict types, no unknown key, one line for what is wrong."""

import reprlib
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import ConfigError, unknown


class Config(BaseModel):
    """A part of a YAML: frozen, strict, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


C = TypeVar("C", bound=Config)


def validated(model: type[C], raw: Any, where: str) -> C:
    """The config of parsed YAML; ConfigError in one line naming the key, with near ones where it is unknown."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(model, error)}") from error


def shown(value: Any) -> str:
    """A value of a YAML as an error tells it, short."""
    try:
        # reprlib: YAML aliases can name more values than memory could hold written out.
        return f"{reprlib.repr(value):.80}"
    except ValueError:  # Python writes no integers of more than 4,300 digits, which hexadecimal YAML can hold
        return "an int too long to be written"


def _first_problem(model: type[Config], error: ValidationError) -> str:
    found = error.errors()
    # A key that is misspelt is missing as well: what stands there is told first.
    problem = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    place = ".".join(str(part) for part in problem["loc"] if _is_key(part))
    if problem["type"] == "extra_forbidden":
        return unknown("key", place, _known_keys(model, problem["loc"][:-1]))
    told = "" if problem["type"] == "missing" else f", found {shown(problem['input'])}"
    return f"{place or 'the whole'}: {problem['msg']}{told}"


def _is_key(part: int | str) -> bool:
    # Where a value may be of several types, pydantic names the one that it tried.
    return isinstance(part, int) or (part.replace("_", "").isalnum() and part not in ("str", "int", "float"))


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at that place has, each with the place in front."""
    within: type[BaseModel] = model
    for part in loc:
        field = within.model_fields.get(str(part))
        within = _model_in(field.annotation) or within if field else within
    return [".".join([*map(str, loc), name]) for name in within.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(one) for one in get_args(annotation))
    return next((one for one in found if one), None)
