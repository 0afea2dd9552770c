"""What the guard does, in words: alike in every product, since no product file says anything of it."""

from __future__ import annotations

from monsoon.transforms.guard.signals import RING, SIGNALS
from monsoon.transforms.guard.verdicts import VERIFY_WAIT_MS
from monsoon.transforms.plain_words import SIGNALS as WORDS
from monsoon.transforms.product.wording.phrases import Section, duration, listed

_SIGNS = "; ".join(WORDS[name] for name in SIGNALS if name != RING)


def guard_section() -> Section:
    """What contradicts a rider's location, and what follows from it."""
    after = duration(VERIFY_WAIT_MS)
    return Section(
        "When your phone contradicts your location",
        (
            "This applies to every product, before and beside its rules, which can only be stricter. It asks whether "
            f"anything contradicts where you say you were: {_SIGNS}. What your phone does not measure or send counts "
            "for nothing.",
            f"One of these: you are asked to open the app outdoors and confirm the claim within {after}. Your answer "
            "alone pays nothing. It is paid once your phone has shown since then, by "
            f"{listed(['cell towers', 'Wi-Fi networks', 'its movements'], 'or')}, that it is where it says, nothing "
            "contradicts it any more, and it is within 2 km of the zone, or came from there without a gap.",
            f"Where your phone has sent nothing of that when you answer, we look again when the {after} are over. "
            "After that, without an answer, or if you say that the claim is not yours, a person reviews it.",
            "Two or more of these, or a claim that is one of a ring of linked claims: a person reviews it. Nobody is "
            "turned down by this.",
        ),
    )
