"""Product files from disk to checked terms: those that come with Monsoon, and others beside them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from monsoon.sources.plain_yaml import PlainYamlError, read_file, read_plain_yaml
from monsoon.transforms.product import (
    Product,
    ProductError,
    chain_versions,
    content_version,
    did_you_mean,
    parse_product,
)

_SUFFIXES = (".yaml", ".yml")
_LABEL = "@"
"""A version's file beside the first: `nexora@2026-04.yaml`."""


def available_products() -> list[str]:
    """Names of the products that come with Monsoon, sorted."""
    return sorted({name.removesuffix(".yaml").partition(_LABEL)[0] for name in _shipped()})


def load_products(names: Sequence[str] | None = None, extra: Iterable[Path] = ()) -> dict[str, Product]:
    """The named products (all that there are by default) by name, each with its earlier versions.

    `extra` are product files from elsewhere, or folders of them: further products, or further versions of those that
    come with Monsoon, whatever the files are called.

    Raises ProductError for a name without a file, a file that cannot be used, and two versions of one product that are
    in force from the same moment; OSError where a file cannot be read.
    """
    others = {str(path): load_product_file(path) for path in product_paths(extra)}
    known = sorted({*available_products(), *(product.name for product in others.values())})
    for name in names or ():
        if name not in known:
            raise ProductError(f"no product {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")
    found = {}
    for name in sorted(set(known if names is None else names)):
        versions = {f"products/{file}": _load_shipped(file) for file in _shipped() if _is_file_of(file, name)} | {
            where: product for where, product in others.items() if product.name == name
        }
        found[name] = chain_versions(versions)
    return found


def product_contents(name: str, extra: Iterable[Path] = ()) -> dict[str, bytes]:
    """The content of each file of a product, by the file's name for messages, as `load_products` finds them.

    Raises ProductError for a name without a file, OSError where a file cannot be read.
    """
    load_products([name], paths := product_paths(extra))
    shipped = {
        f"products/{file}": (files("monsoon.products") / file).read_bytes()
        for file in _shipped()
        if _is_file_of(file, name)
    }
    return shipped | {str(path): read_file(path) for path in paths if load_product_file(path).name == name}


def product_paths(given: Iterable[Path]) -> list[Path]:
    """The files given, and of the folders given their *.yaml and *.yml; each once.

    Raises ProductError for a folder without any.
    """
    found: dict[Path, None] = {}
    for path in given:
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and not each.name.startswith("."))
        if not inside:
            raise ProductError(f"{path}: no *.yaml in this folder")
        found.update(dict.fromkeys(inside))
    return list(found)


def load_product_file(path: Path) -> Product:
    """The one version of a product that a file holds.

    Raises ProductError where it cannot be used, OSError where it cannot be read.
    """
    return read_product(read_file(path), str(path))


def read_product(content: bytes, where: str) -> Product:
    """The one version of a product in a file's content; `where` names the file.

    Warns (FutureWarning) of what the next release will not read. Raises ProductError, with all faults, where it cannot
    be used.
    """
    try:
        root = read_plain_yaml(content)
    except PlainYamlError as error:
        at = where if error.line is None else f"{where}:{error.line}"
        raise ProductError.of([f"{at}: {error.problem}"]) from error
    return parse_product(
        root.value,
        version=content_version(content),
        where=where,
        line_of=root.line_of,
        models=_models(),
        warn=lambda line: warnings.warn(line, FutureWarning, stacklevel=2),
    )


@cache
def _shipped() -> tuple[str, ...]:
    """File names of the products that come with Monsoon."""
    return tuple(sorted(entry.name for entry in files("monsoon.products").iterdir() if entry.name.endswith(".yaml")))


def _is_file_of(file: str, name: str) -> bool:
    return file.removesuffix(".yaml").partition(_LABEL)[0] == name


@cache
def _load_shipped(file: str) -> Product:
    where = f"products/{file}"
    product = read_product((files("monsoon.products") / file).read_bytes(), where)
    if not _is_file_of(file, product.name):
        raise ProductError(
            f"{where}: name is {product.name!r}; a file of this folder is called {product.name}.yaml, or "
            f"{product.name}{_LABEL}LABEL.yaml"
        )
    return product


@cache
def _models() -> frozenset[str]:
    """The model folders that come with Monsoon."""
    return frozenset(entry.name for entry in (files("monsoon.models") / "onnx").iterdir() if entry.is_dir())
