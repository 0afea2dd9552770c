"""Scores that stand in for evidence and model."""

from monsoon.transforms.adjudication.claims import ClaimScore, Reread


class EveryScoreApproves:
    """Says of every claim that it may be paid, as the worked examples ask."""

    model_version = "none"
    syndicate_alerts = ()

    def begin(self, product, disruptions, amounts):
        pass

    def measure_scores(self, questions):
        pass

    def __call__(self, claim, at_ms):
        return ClaimScore(0.0, 9, trust=1.0)

    def reread(self, claim, at_ms, asked_at_ms, answer_id):
        return Reread(asked_at_ms, at_ms, "released")
