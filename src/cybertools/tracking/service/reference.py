"""The OpenAPI document as a page of Markdown: for ``/docs``, and for the documentation."""

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["markdown"]

METHODS = ("get", "post", "put", "patch", "delete")


def markdown(document: dict[str, Any]) -> str:
    """The whole document: each operation under its tag, then the shapes of what is sent."""
    return "\n".join(_lines(document))


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield "# HTTP"
    yield ""
    yield document["info"]["description"].strip()
    for tag in document["tags"]:
        yield f"\n## {tag['name']}\n"
        yield tag["description"]
        for path, item in document["paths"].items():
            for method in METHODS:
                operation = item.get(method)
                if operation is not None and tag["name"] in operation["tags"]:
                    yield from _operation(method, path, item.get("parameters", []), operation)
    yield "\n## What is sent\n"
    yield "Each is a JSON object, with these names and no others unless it says so."
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)


def _operation(
    method: str, path: str, shared: list[dict[str, Any]], operation: dict[str, Any]
) -> Iterator[str]:
    yield f"\n### {operation['summary']}\n"
    yield f"```\n{method.upper()} {path}\n```\n"
    if "description" in operation:
        yield operation["description"] + "\n"
    parameters = [*shared, *operation.get("parameters", [])]
    if parameters:
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for each in parameters:
            need = " Required." if each.get("required") and each["in"] != "path" else ""
            yield (
                f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} |"
                f" {_cell(each['description'])}{need} |"
            )
        yield ""
    body = operation.get("requestBody")
    if body is not None:
        yield f"Body: {_contents(body['content'])}. {body['description']}\n"
        yield from _examples(body["content"])
    for status, answer in operation["responses"].items():
        if status < "400":
            kinds = f": {_contents(answer['content'])}" if "content" in answer else ""
            yield f"`{status}` {answer['description'].rstrip('.')}{kinds}.\n"
    problems = [f"`{status}`" for status in operation["responses"] if status >= "400"]
    yield f"Problems: {', '.join(problems)}."


def _contents(content: dict[str, Any]) -> str:
    return " or ".join(
        f"`{kind}` {_type(value['schema'])}".strip() for kind, value in content.items()
    )


def _examples(content: dict[str, Any]) -> Iterator[str]:
    for value in content.values():
        found = [each["value"] for each in value.get("examples", {}).values()]
        found += [value["example"]] if "example" in value else []
        for example in found:
            text = example if isinstance(example, str) else json.dumps(example)
            yield f"```json\n{text.strip()}\n```\n"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n### {name}\n"
    if "description" in schema:
        yield schema["description"] + "\n"
    properties = schema.get("properties", {})
    if properties:
        yield "| name | type | |\n|---|---|---|"
        required = schema.get("required", ())
        for each, inner in properties.items():
            need = "" if each in required else " Optional."
            yield f"| `{each}` | {_type(inner)} | {_cell(inner.get('description', ''))}{need} |"
    for example in schema.get("examples", ()):
        yield f"\n```json\n{json.dumps(example)}\n```"


def _type(schema: dict[str, Any]) -> str:
    """What a schema admits, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(map(_type, schema[several]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    return kind if isinstance(kind, str) else " or ".join(kind)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
