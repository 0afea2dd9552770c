"""The model of a product file's `premium`: inputs, factors, lines and the range, as `document.py` has the rest."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, field

from monsoon.transforms.documents import OrUnset, Section, about, matching, non_empty
from monsoon.transforms.product.quantities import Amount, Formula, Name, Share

ChoiceName = Annotated[
    str,
    matching("^[a-z0-9][a-z0-9_-]{0,47}$", "is no choice's name (small letters, digits, - and _, at most 48)"),
]
_Limit = Annotated[float, Meta(ge=-1e9, le=1e9)]


class PremiumInputSection(Section, frozen=True, kw_only=True):
    """What a premium depends on: a number with its unit and range, or one of some named choices."""

    exactly_one_of = (("unit", "min", "max"), ("choices",))
    meaning: Annotated[str, Meta(min_length=1, max_length=200), about("What it is, for people.")]
    unit: OrUnset[Annotated[str, Meta(min_length=1, max_length=64), about('As in formulas; "1": a bare number.')]] = (
        UNSET
    )
    min: OrUnset[Annotated[_Limit, about("A rider with less gets no quote.")]] = UNSET
    max: OrUnset[Annotated[_Limit, about("A rider with more gets no quote.")]] = UNSET
    choices: OrUnset[Annotated[dict[ChoiceName, Amount], non_empty("What each choice counts in formulas.")]] = UNSET
    default: OrUnset[
        Annotated[float | str, about("Its value, or choice, where a rider has none. Default: the rider needs one.")]
    ] = UNSET
    optional: Annotated[bool, about("Whether a rider may be without it; lines that need it are then 0.")] = False


class PremiumLineSection(Section, frozen=True, kw_only=True):
    """One line of the breakdown."""

    name: Name
    amount: Annotated[Formula, about("In rupees, below 0 for a discount.")]
    when: OrUnset[Annotated[Formula, about("The condition under which it counts; else the line is 0.")]] = UNSET


class PremiumSection(Section, frozen=True, kw_only=True):
    """What a period of cover costs a rider: the sum of the lines, within a range."""

    inputs: Annotated[dict[Name, PremiumInputSection], non_empty("What it depends on, by name.")]
    lines: Annotated[tuple[PremiumLineSection, ...], non_empty("The lines of the breakdown, in order; they add up.")]
    min: Annotated[Formula, about("The smallest premium, in rupees: of amounts of the plan alone.")]
    max: Annotated[Formula, about("The largest premium, in rupees: of amounts of the plan alone.")]
    rounding: Annotated[
        Literal["rupee", "paisa"], about("To what each line is rounded, half to even, before they are added.")
    ] = "paisa"
    plans: Annotated[
        dict[Name, dict[Name, Amount]],
        about("Amounts of each plan that premiums alone depend on, by name; every plan has the same."),
    ] = field(default_factory=dict)
    factors: Annotated[dict[Name, Formula], about("Intermediate numbers by name; each may use those before it.")] = (
        field(default_factory=dict)
    )
    max_change: OrUnset[
        Annotated[Share, about("By how much it may differ from the input previous_premium. Default: no limit.")]
    ] = UNSET
    bonus_cover: OrUnset[Annotated[Formula, about("Hours of cover beyond the plan's, at the same premium.")]] = UNSET
