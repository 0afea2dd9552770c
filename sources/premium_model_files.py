"""Models of premiums from their folders; apart from the models that every replay loads."""

from __future__ import annotations

from pathlib import Path

from monsoon.sources.files import InputError
from monsoon.transforms.pricing.premium_model import PremiumModel
from monsoon.transforms.product import Product
from monsoon.transforms.scoring.folder import read_model_folder


def load_premium_model(folder: Path, product: Product) -> PremiumModel:
    """The model of a product's premiums in `folder`.

    Raises ModelFolderError where it fails its checks, InputError where it is of another product, or of another version
    of it, whose payouts may be others.
    """
    model = PremiumModel(read_model_folder(folder))
    mend = f"Train one: monsoon train --model premium --product {product.name} --output DIR"
    if model.terms.product != product.name:
        raise InputError(f"is a model of {model.terms.product}, not of {product.name}", str(folder), mend)
    if model.terms.product_version != product.version:
        what = f"is of version {model.terms.product_version} of {product.name}, which is now {product.version}"
        raise InputError(what, str(folder), mend)
    return model
