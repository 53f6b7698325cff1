"""JSON schemas of what `reply` sends, from the types that it sends."""

from collections.abc import Iterable
from inspect import cleandoc
from types import GenericAlias
from typing import Any

from msgspec.json import schema_components

_REFERENCE = "#/components/schemas/{name}"


def type_of(example: object) -> object:
    """Its type; a list is of what its first item is."""
    return GenericAlias(list, type(example[0])) if isinstance(example, list) else type(example)


def schema(kind: object) -> dict[str, Any]:
    """The schema of a type, which may refer to components."""
    (own,), _ = schema_components([kind], ref_template=_REFERENCE)
    return own


def components(kinds: Iterable[object]) -> dict[str, Any]:
    """The schemas that those of these types refer to, by name."""
    _, named = schema_components(kinds, ref_template=_REFERENCE)
    return {name: _as_sent(each) for name, each in named.items()}


def _as_sent(schema: Any) -> Any:
    """What msgspec takes a type for, put right: amounts are sent as numbers, and only defaults are left out."""
    if isinstance(schema, list):
        return [_as_sent(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    sent = {name: _as_sent(value) for name, value in schema.items()}
    if sent.get("format") == "decimal":
        sent["type"] = "number"
    if "properties" in sent:
        sent["required"] = [name for name, each in sent["properties"].items() if "default" not in each]
        sent["description"] = cleandoc(sent.get("description", ""))
    return sent
