"""Data that a person edits: pools/*.yaml, stages; and ``load``, which reads one by name or path."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, unknown

_HERE = Path(__file__).parent
_MERGE = "tag:yaml.org,2002:merge"  # the key "<<"


def load(name: str) -> dict[str, Any]:
    """The parsed YAML of a manifest: a path, or one of ours by name (``coco``, ``stage3``); ConfigError in one line."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = {known.stem: known for ours in ("pools/*.yaml", "*.yaml") for known in _HERE.glob(ours)}
        if name not in known:
            raise ConfigError(f"{unknown('manifest', name, known)}; a file's name ends in .yaml")
        path = known[name]
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    return parse(text, str(path))


def parse(text: str, where: str) -> dict[str, Any]:
    """The mapping that the YAML holds; ConfigError where it is no YAML, no mapping, or says a key twice."""
    import yaml

    try:
        parsed = yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of SafeLoader
    except Exception as error:  # not YAMLError alone: "!!int x" raises whatever the conversion does
        raise ConfigError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{where}: found {type(parsed).__name__}, wanted a mapping")
    return parsed


def override(raw: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """The mapping with each ``a.b.0.c=value`` set, the value read as YAML; ConfigError where the place is not there."""
    for setting in settings:
        place, equals, value = setting.partition("=")
        if not equals or not place:
            raise ConfigError(f"--set {setting}: wanted key=value, such as image.max_side=640")
        _set(raw, place.split("."), parse(f"value: {value}", f"--set {setting}")["value"], setting)
    return raw


def _set(raw: Any, place: list[str], value: Any, setting: str) -> None:
    for part in place[:-1]:
        raw = raw.setdefault(part, {}) if isinstance(raw, dict) else _item(raw, part, setting)
    if isinstance(raw, dict):
        raw[place[-1]] = value
    else:
        _item(raw, place[-1], setting)
        raw[int(place[-1])] = value


def _item(raw: Any, part: str, setting: str) -> Any:
    if not isinstance(raw, list) or part not in map(str, range(len(raw))):
        found = f"a list of {len(raw)}" if isinstance(raw, list) else type(raw).__name__
        raise ConfigError(f"--set {setting}: there is no {part!r} in {found}")
    return raw[int(part)]


def _hashable(key: Any) -> bool:
    return isinstance(key, Hashable)


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, and refuses a key that is said twice: the later one would win unseen."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            seen = set()
            for key in filter(_hashable, keys):
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is said twice", node.start_mark)
                seen.add(key)
            return super().construct_mapping(node, deep)

    return Loader
