"""The judge and the published JSON Schemas agree wherever a schema says all there is to say."""

import json
from importlib import resources

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from validation.lines import ABSENT, CATALOGUE, GOOD, line_of, with_changes

from monsoon.transforms.validation.fields import CONTRACTS, stream_fields
from monsoon.transforms.validation.record_validator import RecordValidator, ValidRecord

VALUES = [ABSENT, None, "", "x", "x" * 65, 0, 1, -1, 0.5, 91, -91, 181, 301, 1200, True, [], ["b1"], {}]


def schema_of(stream):
    return json.loads((resources.files("monsoon.contracts") / f"{CONTRACTS[stream]}.schema.json").read_text())


@pytest.mark.parametrize("stream", GOOD)
def test_a_record_is_used_whole_where_the_schema_passes_it(stream):
    validator = jsonschema.Draft202012Validator(schema_of(stream))
    record_validator = RecordValidator(stream, CATALOGUE)
    # What Validation says beyond the schema: catalogues, flags, areas, intervals, lengths and cells in words.
    beyond = {"h3", "wkt", "lat", "lon", "plan", "product", "coverage_start", "coverage_end"}
    names = [f.name for f in stream_fields(stream) if stream == "telemetry" or f.name not in beyond]
    optional = {field.name for field in stream_fields(stream) if not field.required}

    @given(st.sampled_from(names), st.sampled_from(VALUES))
    def agree(name, value):
        record = with_changes(stream, {name: value})
        verdict = record_validator(line_of(record))
        whole = isinstance(verdict, ValidRecord) and not verdict.nulled
        explicit_null = value is None and name in optional  # the same as absent, whatever the schema says
        assert whole == (validator.is_valid(record) or explicit_null), (name, value, verdict)

    agree()


@pytest.mark.parametrize("stream", GOOD)
def test_dead_letters_keep_to_their_contract(stream):
    schema = json.loads((resources.files("monsoon.contracts") / "dead_letter.schema.json").read_text())
    dead = RecordValidator(stream, CATALOGUE)(b"{}")
    letter = {"stream": stream, "reason": dead.reason, "detail": dead.detail, "raw": dead.raw, "seen_at": dead.seen_at}
    jsonschema.validate(letter, schema)
