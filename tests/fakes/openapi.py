"""Check requests and answers against a system's own published API description."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

if TYPE_CHECKING:
    from pathlib import Path


@functools.cache
def described(main: Path) -> Description | None:
    """Return the description in that file, read once, or None where it is absent."""
    return Description(main) if main.exists() else None


class Description:
    """An OpenAPI 3.0 description, in one file or in many that refer to each other."""

    def __init__(self, main: Path) -> None:
        self._folder = main.parent
        self._files: dict[str, Any] = {}
        self._validators: dict[int, jsonschema.Draft7Validator] = {}
        self._main = main.name
        self.paths: dict[str, Any] = self._file(self._main)["paths"]

    def problems(self, method: str, path: str, body: Any, status: int, answer: Any) -> list[str]:
        """Return what of one exchange the description does not know."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path} is not described"] if status != 404 else []
        found = []
        if body is not None and 200 <= status < 300:
            schema = self._body(operation)
            if schema is None:
                found.append(f"{method} {path} takes no body")
            else:
                found += self._check(schema, body, f"{method} {path} sends")
                found += self._unknown(schema, body, f"{method} {path} sends")
        described = operation["responses"].get(str(status))
        if described is None:
            found.append(f"{method} {path} never answers {status}")
        elif answer is not None:
            content = self._expand_ref(described).get("content", {})
            schema = next((c.get("schema") for c in content.values()), None)
            if schema is not None:
                found += self._check(schema, answer, f"{method} {path} answers")
        return found

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, item in self.paths.items():
            # Trailing parts may be left out, says Pi-hole's description in prose.
            pattern = re.sub(r"/\{[^}]+\}", "(?:/[^/]+)?", template)
            if re.fullmatch(pattern, path):
                found = self._expand_ref(item).get(method.lower())
                if found is not None:
                    return dict(found)
        return None

    def _body(self, operation: dict[str, Any]) -> Any:
        body = self._expand_ref(operation.get("requestBody") or {})
        return next((c["schema"] for c in body.get("content", {}).values()), None)

    def _check(self, schema: Any, value: Any, where: str) -> list[str]:
        key = id(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft7Validator(self._expand(schema))
        validator = self._validators[key]
        return [
            f"{where}: {'/'.join(map(str, error.path))} {error.message[:200]}"
            for error in validator.iter_errors(value)
        ]

    def _unknown(self, schema: Any, value: Any, where: str) -> list[str]:
        known = self._properties(self._expand(schema))
        if not isinstance(value, dict) or not known:
            return []
        return [f"{where}: unknown field {name}" for name in value if name not in known]

    def _properties(self, schema: dict[str, Any]) -> set[str]:
        found = set(schema.get("properties", {}))
        for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
            found |= self._properties(part)
        return found

    def _file(self, name: str) -> Any:
        if name not in self._files:
            text = (self._folder / name).read_text()
            self._files[name] = yaml.load(
                text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            )
        return self._files[name]

    def _lookup(self, ref: str) -> Any:
        name, _, pointer = ref.partition("#")
        found = self._file(name or self._main)
        for part in pointer.strip("/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def _expand_ref(self, item: Any) -> Any:
        while isinstance(item, dict) and "$ref" in item:
            item = self._lookup(item["$ref"])
        return item

    def _expand(self, item: Any, depth: int = 0) -> Any:
        """Resolve references, and write ``nullable`` as JSON Schema does."""
        item = self._expand_ref(item)
        if depth > 25:
            return {}
        if isinstance(item, list):
            return [self._expand(each, depth + 1) for each in item]
        if not isinstance(item, dict):
            return item
        found = {
            key: self._expand(value, depth + 1)
            for key, value in item.items()
            if key not in {"example", "examples", "description", "nullable"}
            or isinstance(value, dict)
        }
        if item.get("nullable") is True:
            if "type" in found:
                found["type"] = [found["type"], "null"]
            if "enum" in found:
                found["enum"] = [*found["enum"], None]
        return found
