"""Loads a YAML file into a pydantic model, and says in one line what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from robot_rl.errors import BadInput, nearest


class SpecModel(BaseModel):
    """Base of what a user writes in YAML: frozen, and a misspelled field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)
_ERRORS_SHOWN = 3  # more would not help on one line


class _UniqueKeys(yaml.SafeLoader):
    """Plain YAML values only, and no key twice (PyYAML would quietly take the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key != "<<" and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"field '{key}' is there twice",
                                                        key_node.start_mark)  # fmt: skip
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds fields and values; raises BadInput naming file, line and rule."""
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not a text file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise BadInput(f"{path}: {where}not valid YAML: {' '.join(problem.split())}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise BadInput(f"{path}: must hold lines of 'field: value', not {type(content).__name__}")
    return content


def load_yaml_model(path: str | Path, model: type[Model]) -> Model:
    """Load a YAML file into `model`; raises BadInput naming file, field, rule and the nearest field name."""
    content = read_yaml(path)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{path}: {describe(error, model)}") from error


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """Say a validation error in one line: field, rule, value, and for an unknown field the known ones."""
    told = [_one(item, model) for item in error.errors(include_url=False)]
    more = f"; and {len(told) - _ERRORS_SHOWN} more" if len(told) > _ERRORS_SHOWN else ""
    return " ".join(("; ".join(told[:_ERRORS_SHOWN]) + more).split())


def _one(item: Any, model: type[BaseModel]) -> str:
    """Say one of pydantic's errors."""
    loc = item["loc"]
    field = ".".join(str(part) for part in loc) or "the file"
    if item["type"] == "extra_forbidden":
        return f"{field}: unknown field.{nearest(str(loc[-1]), _fields_at(model, loc[:-1]))}"
    if item["type"] == "missing":
        return f"{field}: this field is required"
    rule = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    value = repr(item["input"])
    return f"{field}: {rule}, not {value if len(value) <= 60 else value[:57] + '...'}"


def _fields_at(model: type[BaseModel], loc: tuple) -> list[str]:
    """List the field names that are valid at this place of the nested model."""
    models = [model]
    for part in loc:
        inner = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        # A list index, a dictionary's key or a union's tag stays with the models it is a place in.
        models = [found for annotation in inner for found in _models_in(annotation)] or models
    return sorted({field.alias or name for m in models for name, field in m.model_fields.items()})


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models in an annotation such as `dict[str, Joint] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
