"""Rings: claims in one disruption's surroundings that are linked by resources which strangers do not share.

Belongs here: shared resources and their weights (`resources`), edges between claims and the claims without one that are
left out (`links`), rings and their alerts over event time (`graph`), the 2-core (`two_core`). Does not: an engine, the
reading of reports, what a ring does to a claim (`adjudication/linked.py`), alerts of a product's own rule
(`monsoon.transforms.syndicates`). What was decided: docs/adr/0061-rings.md, docs/adr/0064-rings-in-the-engines.md,
docs/interpretations.md#rings.

The data flow of both engines, for each product:

1. Where a rider's reports are stored, as claims are opened (`openings`): what their riders' phones saw in the day up to
   the confirmation (`sightings`).
2. Keyed by trigger and H3 cell: the claims that share enough with others nearby (`opened_claims`, `links`).
3. Keyed by trigger: `RingGraph.add` for these links, and `advance` with the watermark. The links of `LINKS_KEPT_MS` are
   its state. Its alerts are published; how claims stand goes to their adjudication (`take_changes`).
"""
