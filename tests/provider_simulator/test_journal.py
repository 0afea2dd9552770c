"""A book that is kept in a file: whoever opens it again has the same book, whenever the last one was killed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_simulator.test_provider import Clock, body

from monsoon.cli.main import main
from monsoon.sinks.provider_simulator.book import ProviderBook
from monsoon.sinks.provider_simulator.journal import Journal
from monsoon.sinks.provider_simulator.script import Misbehavior

FATE = Misbehavior(seed=3, settle_ms=1_000, failed=0.2, reversed=0.3, slow=0.3)
MOVES = st.lists(st.integers(0, 9) | st.sampled_from([300, 700, 2_000]), max_size=30)


def key_of(number):
    return f"p{number:032x}"


def shown(book):
    """All that it tells."""
    documents = [book.by_reference(key_of(number)) for number in range(10)]
    return documents, book.transactions(0, 2**40, 100, 0), book.debits, book.paid_paise


@given(moves=MOVES, cut_bytes=st.integers(0, 40))
def test_a_book_goes_on_from_its_journal(tmp_path_factory, moves, cut_bytes):
    path, clock = tmp_path_factory.mktemp("book") / "book.jsonl", Clock()
    book = ProviderBook(FATE, clock, journal=Journal(path))
    for move in moves:
        if move < 10:
            book.create(key_of(move), body(key_of(move)))
        else:
            clock.now_ms += move
    before = shown(book)
    with open(path, "ab") as file:
        file.write(b'{"key": "a line that a crash cut off", "made_ms": 1'[:cut_bytes])
    again = ProviderBook(FATE, clock, journal=Journal(path))
    assert shown(again) == before
    clock.now_ms += 5_000
    assert shown(again) == shown(ProviderBook(FATE, clock, journal=Journal(path))) == shown(book)


def test_the_same_key_after_a_restart_is_the_same_payout(tmp_path):
    clock = Clock()
    first = ProviderBook(FATE, clock, journal=Journal(tmp_path / "book")).create(key_of(1), body(key_of(1)))
    again = ProviderBook(FATE, clock, journal=Journal(tmp_path / "book"))
    assert again.create(key_of(1), body(key_of(1))) == first
    assert again.create(key_of(1), body(key_of(1), amount=100))[0] == 400


@pytest.mark.parametrize("content", ["{}\n", "x\n", "[1]\n", '{"key": "unmade", "status": "failed"}\n'])
def test_a_file_that_is_no_book(tmp_path, capsys, content):
    (tmp_path / "file").write_text(content)
    assert main(["provider-simulator", "--book", str(tmp_path / "file")]) == 1
    assert "is no book of the simulated provider" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == content
