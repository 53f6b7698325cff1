"""As much of JSON Schema as the API's description uses."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

REFERENCE = "#/components/schemas/"
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, Decimal),
}

Schema = dict[str, Any]


def faults(value: Any, schema: Schema, components: dict[str, Schema], at: str = "$") -> Iterator[str]:
    """Where a value, as JSON with exact numbers, isn't what its schema says, or has what that doesn't know."""
    if "$ref" in schema:
        yield from faults(value, components[schema["$ref"].removeprefix(REFERENCE)], components, at)
    elif "anyOf" in schema:
        found = [list(faults(value, each, components, at)) for each in schema["anyOf"]]
        if all(found):
            yield from (fault for each in found for fault in each)
    elif "enum" in schema:
        if value not in schema["enum"]:
            yield f"{at}: {value!r} is none of {schema['enum']}"
    elif type(value) not in TYPES[schema["type"]]:
        yield f"{at}: {value!r} is no {schema['type']}"
    else:
        yield from _faults_within(value, schema, components, at)


def _faults_within(value: Any, schema: Schema, components: dict[str, Schema], at: str) -> Iterator[str]:
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield from faults(item, schema["items"], components, f"{at}[{n}]")
    elif isinstance(value, dict):
        properties = schema["properties"]
        yield from (f"{at}.{name} is missing" for name in schema["required"] if name not in value)
        yield from (f"{at}.{name} is not described" for name in value if name not in properties)
        for name in value.keys() & properties.keys():
            yield from faults(value[name], properties[name], components, f"{at}.{name}")
