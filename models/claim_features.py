"""The features of the model `claim_anomaly`, and how strongly each can contribute to a claim's risk."""

from monsoon.models.design import FeatureDesign, ModelDesign

DESIGNS = (
    FeatureDesign("mock_location_share", "1", "mock", "high", "linear", 1.0, ordinary=0.0),
    # A phone on a table: variance 6e-5 to 2e-4 (measured); one on a scooter is above 1.
    FeatureDesign("accelerometer_variance", "(m/s2)2", "accelerometer", "low", "log10", 2e-4),
    FeatureDesign("barometric_delta_match", "1", "barometer", "low", "linear", 0.0, strong=False),
    FeatureDesign("gnss_cn0_agc_anomaly", "1", "gnss_radio", "high", "linear", 1.0, ordinary=0.0),
    FeatureDesign("gnss_network_time_delta_s", "s", "gnss_clock", "high", "log10", 5.0, ordinary=0.5),
    FeatureDesign("bssid_zone_match", "1", "wifi", "low", "linear", 0.0),
    FeatureDesign("cell_tower_zone_match", "1", "cell", "low", "linear", 0.0),
    FeatureDesign("battery_drain_z", "1", "battery", "low", "linear", -4.0, strong=False),
    FeatureDesign("speed_variance_30min", "(m/s)2", "trail", "low", "log10", 1e-2, strong=False),
    FeatureDesign("route_linearity", "1", "trail", "high", "linear", 1.0),
    FeatureDesign("max_implied_speed_mps", "m/s", "trail", "high", "log10", 70.0, ordinary=20.0),
    FeatureDesign("gps_jitter_m", "m", "trail", "low", "log10", 0.1),
    FeatureDesign("recent_activity_in_zone", "reports", "trail", "low", "linear", 0.0),
    FeatureDesign("claim_burst_rank", "1", "arrival", "high", "linear", 1.0, ordinary=0.0, strong=False),
)
CLAIM_ANOMALY = ModelDesign("claim_anomaly", DESIGNS)
NAMES, GROUPS = CLAIM_ANOMALY.names, CLAIM_ANOMALY.groups
