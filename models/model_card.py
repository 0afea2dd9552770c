"""The model card: what the model was trained on, how well it does, and where its limits are."""

from collections.abc import Mapping, Sequence

from monsoon.models.claim_features import CLAIM_ANOMALY
from monsoon.models.design import FAULT_SHARE, ModelDesign
from monsoon.models.exchangeability import Exchangeability, exchangeability_table
from monsoon.models.guard_rates import MAX_BOUND, MAX_SHARE, GuardRates, guard_table
from monsoon.models.train import CONTRADICTION_SHARE, SUBSAMPLE, TREES

_LIMITS = """\
## Limits

- Riders and attackers are simulated. The rates above say that the model works on storms and seeds that it has not
  seen from the same simulator; what real phones do may differ, and the shares of holds and step-ups must be watched.
- A claim with hardly any evidence has nothing to be anomalous in. It is approved, by intent: missing is not fraud.
- Below p = 1e-4 the risk is 1. It does not rank the claims beyond.
- Features that go together in honest life (a phone that lies still has no speed either) count as several; groups that
  a phone lacks were filled in, for calibration, from other phones, as if groups were independent.
- Rings are not looked at: no feature compares a claim with the claims of others but `claim_burst_rank`.
"""


def model_card(
    training: Sequence[str],
    rows: Mapping[str, int],
    seed: int,
    evaluations: Mapping[str, str],
    tested: Exchangeability,
    rates: GuardRates,
) -> str:
    """Markdown. training: lines on where the rows come from; rows: counts by use; evaluations: report by storm;
    tested: calibration on held-out honest claims; rates: of the guard's signals."""
    evaluated = "\n".join(f"### {storm}\n\n```\n{text}```\n" for storm, text in evaluations.items())
    return f"""\
# {CLAIM_ANOMALY.name}

An Isolation Forest of {TREES} trees over {SUBSAMPLE} claims each, fitted on honest claims alone, calibrated so that a
risk of 0.40 is 1 honest claim in 100 and 0.72 is 1 in 1,000, whatever was measured. Made by `monsoon train`.

## Training

- Seed {seed}.
{chr(10).join(f"- {line}" for line in training)}
{chr(10).join(f"- {count:,} {use}." for use, count in rows.items())}
- To the forest's claims, {CONTRADICTION_SHARE:.1%} as many again for each strong feature, honest but for that feature.
- {FAULT_SHARE:.1%} of the calibration claims have one strong feature contradicting: phones whose sensor lies.

{feature_table(CLAIM_ANOMALY)}

## Evaluation

Shares with their 95% intervals, on claims of other storms and seeds than those of training.

{evaluated}
## Calibration, tested

Honest riders of {", ".join(tested.held_out)}, whom neither forest nor calibration has seen, by what their claims did
not measure. Of each rider the first claim under a mask; shares with their 95% intervals; p: the probability of so many
or more beyond a cut-off (exact binomial), and of p-values so much smaller than uniform ones (one-sided
Kolmogorov-Smirnov). All tests of a kind are together at the level {tested.level:g} (Bonferroni).

{exchangeability_table(tested)}

## Guard

What share of honest riders each signal of the guard meets at any of their claims, those of training and of the
tests of calibration, by the generator that simulated them; at most {MAX_SHARE:.1%} may be, with a 95% bound of
{MAX_BOUND:.2%}. Rings and shared payout accounts, which are of several riders, are not among them: `monsoon evaluate`.
Beyond the target: {", ".join(f"{signal} ({generator})" for generator, signal in rates.beyond_target()) or "none"}.

{guard_table(rates)}

{_LIMITS}"""


def feature_table(design: ModelDesign) -> str:
    """What the model looks at, as a table."""
    rows = "\n".join(
        f"| {d.name} | {d.unit} | {d.group} | {d.points_to_fraud} | {d.scale} | {d.fraud_end:g} | "
        f"{'honest median' if d.ordinary is None else format(d.ordinary, 'g')} | {'yes' if d.strong else 'no'} |"
        for d in design.features
    )
    return f"""\
| feature | unit | sensor group | points to fraud | scale | strongest at | ordinary from | strong |
|---|---|---|---|---|---|---|---|
{rows}"""
