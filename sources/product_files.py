"""Product files from disk to checked terms."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import yaml

from monsoon.transforms.product import Product, ProductError, content_version, parse_product


def available_products() -> list[str]:
    """Names of the product files that come with Monsoon, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("monsoon.products").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_products(names: Sequence[str] | None = None) -> dict[str, Product]:
    """The named products (all that there are by default) by name.

    Raises ProductError for a name without a file and for a file that cannot be used.
    """
    known = available_products()
    for name in names or ():
        if name not in known:
            raise ProductError(f"no product {name!r}; there are: {', '.join(known)}")
    return {name: _load(name) for name in sorted(set(names or known))}


def _load(name: str) -> Product:
    where = f"products/{name}.yaml"
    content = (files("monsoon.products") / f"{name}.yaml").read_bytes()
    try:
        document = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ProductError(f"{where}: not YAML: {error}") from error
    product = parse_product(document, version=content_version(content), where=where)
    if product.name != name:
        raise ProductError(f"{where}: name is {product.name!r}; a product's file is called by its name")
    return product
