"""What pydantic finds wrong, as problems with places, values and hints."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mrsim.scenario.document import Document, Path


def report(error: ValidationError, document: Document, data: Any) -> None:
    """Add a validation error's findings to a document's problems."""
    for finding in error.errors(include_url=False):
        path = written_path(finding["loc"], data)
        document.add(path, str(finding["msg"]), "")


def written_path(loc: tuple[str | int, ...], data: Any) -> Path:
    """Return a pydantic location without the tags of unions, which are in no document."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif isinstance(data, dict) and part in (data.get("kind"), data.get("by")):
            continue
        else:
            path.append(part)
            break
        path.append(part)
    return tuple(path)
