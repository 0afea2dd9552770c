"""Rings: claims in one disruption's surroundings that are linked by resources which strangers do not share.

Belongs here: shared resources and their weights (`resources`), edges between claims and the claims without one that are
left out (`links`), rings and their alerts over event time (`graph`), the 2-core (`two_core`). Does not: an engine, the
reading of reports, what a ring does to a claim (the guard, `fraud.md`), alerts of a product's own rule
(`monsoon.transforms.syndicates`). What was decided: docs/adr/0061-rings.md, docs/interpretations.md#rings.

The data flow that is expected of an engine, for each product and trigger:

1. Where a rider's reports are stored (`riders-evidence`), for each rider with a claim, at its confirmation: `stays_of`
   of `Sightings` of the device, access points, network prefix and serving cell in the reports of 24 h (devices: 28
   days), received by then. Sightings of one resource at most 15 min apart become one stay, which loses nothing.
2. Keyed by product and trigger, when all claims confirmed at a moment are there: `link_claims` with these claims, those
   confirmed in the 6 h before, and the stays of both (`Stays.joined`). A claim whose evidence is corrected is linked
   again (`relink`); one whose disruption is withdrawn is `withdrawn`.
3. In the operator of the graph, by the same key: `RingGraph.add` for what `link_claims` gives, which is nothing but
   claims with an edge, and `advance` with the watermark. The links of `LINKS_KEPT_MS` are its state. Its alerts are
   published and freeze the claims that they name; `standing` has what the guard and the feature `ring_score` need to
   know of a claim.
"""
