"""The features of the model `syndicate`, and how strongly each can contribute to a ring's risk.

"Fraud" stands for a group unlike those by which honest people are linked, on which alone the forest is fitted.
"""

from monsoon.models.design import FeatureDesign, ModelDesign

DESIGNS = (
    # From where training's links begin to two kinds of evidence that both count in full.
    FeatureDesign("link_weight", "1", "links", "high", "log10", 14.0, ordinary=3.0),
    # Phone, payout account, purchase and place.
    FeatureDesign("kinds_per_link", "kinds", "links", "high", "linear", 4.0, ordinary=1.0),
    FeatureDesign("device_share", "1", "links", "high", "linear", 1.0, ordinary=0.0),
    FeatureDesign("payout_account_share", "1", "links", "high", "linear", 1.0, ordinary=0.0),
    FeatureDesign("purchase_share", "1", "links", "high", "linear", 1.0, ordinary=0.0),
)
SYNDICATE = ModelDesign("syndicate", DESIGNS, fault_share=0.0)
"""One sensor group: what is known of a group's links is known of all kinds, and no phone's fault makes a link."""
