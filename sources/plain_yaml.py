"""YAML as product, storm and provider files use it: mappings, lists, plain values, each with its line; no surprises.

Of YAML 1.2's core schema: text, numbers, true, false and null. No tags, no dates, no yes for true; a repeated key is an
error, and so are a second document and more than `MAX_VALUES` values, aliases counted each time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 20_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile("true|True|TRUE"), re.compile("false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,300}(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class PlainYamlError(ValueError):
    """Not such a YAML document: `problem`, and the `line` (from 1; None: the whole file)."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem, self.line = problem, line


@dataclass
class Node:
    """A value and the line where it begins; `key_lines` are those of a mapping's keys."""

    value: Any
    line: int
    nodes: dict[str | int, Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1
    key: str | None = None
    """Of a mapping being read: the key whose value comes next."""

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at a path (of its key, where it has one), or of the nearest one around it."""
        node, line = self, self.line
        for step in path:
            if step not in node.nodes:
                return node.key_lines.get(str(step), line)
            line = node.nodes[step].line if isinstance(step, int) else node.key_lines[step]
            node = node.nodes[step]
        return line


def read_file(path: Path) -> bytes:
    """A file's content, no more of it than `read_plain_yaml` needs to refuse a larger one. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def read_plain_yaml(content: bytes) -> Node:
    """The document of a file.

    Raises:
        PlainYamlError: it is none, or more than such a file may hold.
    """
    if len(content) > MAX_BYTES:
        raise PlainYamlError(f"larger than {MAX_BYTES // 1024} KiB, the most that a file of this kind can be")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlainYamlError("not UTF-8", content[: error.start].count(b"\n") + 1) from error
    try:
        return _Reader().read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = "; ".join(part for part in (error.context, error.problem) if part)
        raise PlainYamlError(f"not YAML: {problem}", None if mark is None else mark.line + 1) from error
    except yaml.YAMLError as error:
        at = getattr(error, "position", None)
        line = None if at is None else text[:at].count("\n") + 1
        raise PlainYamlError(f"not YAML: {getattr(error, 'reason', None) or error}", line) from error


class _Reader:
    """Builds nodes from the parser's events, so that neither depth nor aliases can cost more than they may."""

    def __init__(self) -> None:
        self.open: list[Node] = []
        self.anchors: dict[str, Node] = {}
        self.pending: list[str | None] = []
        """The anchors of the open nodes."""
        self.root: Node | None = None

    def read(self, text: str) -> Node:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise PlainYamlError("a second document begins; a file of this kind is one", line)
            elif isinstance(event, yaml.AliasEvent):
                self.alias(str(event.anchor), line)
            elif isinstance(event, yaml.ScalarEvent):
                self.check(event, line)
                self.scalar(event, line)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.check(event, line)
                self.begin({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.end()
        if self.root is None:
            raise PlainYamlError("the file is empty")
        return self.root

    def check(self, event: Any, line: int) -> None:
        if event.tag is not None:
            raise PlainYamlError(f"the tag {event.tag} is no part of a file of this kind", line)

    def awaits_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self.awaits_key():
            self.name(event.value, line)
            return
        plain = event.implicit[0]
        node = Node(_plain(event.value, line) if plain else event.value, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.put(node)

    def name(self, key: str, line: int) -> None:
        mapping = self.open[-1]
        if key in mapping.key_lines:
            before = mapping.key_lines[key]
            raise PlainYamlError(f'the field "{key[:80]}" is there twice, first on line {before}', line)
        mapping.key, mapping.key_lines[key] = key, line

    def begin(self, value: Any, anchor: str | None, line: int) -> None:
        if self.awaits_key():
            raise PlainYamlError("a field's name is text, not a list or a mapping", line)
        if len(self.open) >= MAX_DEPTH:
            raise PlainYamlError(f"more than {MAX_DEPTH} levels deep", line)
        self.open.append(Node(value, line))
        self.pending.append(anchor)

    def end(self) -> None:
        node, anchor = self.open.pop(), self.pending.pop()
        if anchor is not None:
            self.anchors[anchor] = node
        self.put(node)

    def alias(self, anchor: str, line: int) -> None:
        if self.awaits_key():
            raise PlainYamlError("a field's name is text, not an alias", line)
        if anchor not in self.anchors:
            raise PlainYamlError(f"the alias *{anchor[:80]} names nothing that stands before it", line)
        self.put(self.anchors[anchor])

    def put(self, node: Node) -> None:
        if not self.open:
            self.root = node
            return
        holder = self.open[-1]
        if isinstance(holder.value, dict):
            assert holder.key is not None
            holder.value[holder.key] = node.value
            holder.nodes[holder.key] = node
            holder.key = None
        else:
            holder.nodes[len(holder.value)] = node
            holder.value.append(node.value)
        holder.size += node.size
        if holder.size > MAX_VALUES:
            raise PlainYamlError(f"more than {MAX_VALUES:,} values", node.line)


def _plain(text: str, line: int) -> Any:
    """What a value without quotes stands for."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NOT_FINITE.fullmatch(text):
        raise PlainYamlError(f"{text} is no number that can be used", line)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise PlainYamlError(f"{text[:80]} is no number that can be used", line)
        return number
    return text
