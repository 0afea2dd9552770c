"""The features of the model `outage`, and how strongly each can contribute to the risk that it is no outage.

"Fraud" stands for the other verdict, riders who went offline. The forest is fitted on real outages alone; how far a
feature is ordinary is stated here, so that how outages differ among themselves does not hide what is none.
"""

from monsoon.models.design import FeatureDesign, ModelDesign

DESIGNS = (
    # An outage that half of the riders do not notice is hardly one.
    FeatureDesign("silent_share", "1", "silence", "low", "linear", 0.2, ordinary=0.5),
    # In an outage of one platform the others' riders work on, but for those whose shift ends.
    FeatureDesign("others_silent_share", "1", "others", "high", "linear", 0.6, ordinary=0.35),
    # Some apps say offline when the platform drops the session, so this alone is weak evidence.
    FeatureDesign("offline_share", "1", "manner", "high", "linear", 1.0, ordinary=0.8, strong=False),
    # An outage does not wait for the trip's end.
    FeatureDesign("on_trip_share", "1", "work", "low", "linear", 0.05, ordinary=0.15),
    # Last reports spread evenly over the hour of work have a standard deviation of 60 min / sqrt(12).
    FeatureDesign("quiet_spread_min", "min", "onset", "high", "linear", 17.3, ordinary=16.0, strong=False),
    # Below the least trust that a quorum counts, on average.
    FeatureDesign("mean_trust", "1", "trust", "low", "linear", 0.4, ordinary=0.6),
    FeatureDesign("battery_pct", "%", "battery", "low", "linear", 5.0, ordinary=20.0, strong=False),
)
OUTAGE = ModelDesign("outage", DESIGNS, fault_share=0.0)
"""No sensor's fault turns a share of many riders around."""
