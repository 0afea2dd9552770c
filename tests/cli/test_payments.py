"""The commands of payments: what they print, and how they say what is wrong."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from kit.book import instruction
from kit.postgres import new_database, postgres_server

from monsoon.cli.main import main
from monsoon.pipelines.stack.ports import answers, free_ports
from monsoon.sinks.dispatcher.dispatcher import Dispatcher
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.provider_simulator.book import ACCOUNT
from monsoon.transforms.payments import Patience

LOCAL = "http://127.0.0.1:8099"
SETTINGS = DispatchSettings(ACCOUNT, requests_per_s=None)


@pytest.fixture(scope="module")
def address():
    with postgres_server() as server:
        yield new_database(server)


@pytest.fixture(scope="module")
def provider():
    """The command, as a process; the address it prints."""
    port = str(free_ports(1)[0])
    words = ["provider-simulator", "--port", port, "--latency-ms", "0", "--settle-ms", "0"]
    process = subprocess.Popen([sys.executable, "-m", "monsoon.cli.main", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == f"the provider listens on http://127.0.0.1:{port}\n"
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not answers(int(port))


@pytest.fixture
def store(address, capsys):
    main(["ledger", "migrate", "--ledger", address])
    capsys.readouterr()
    with connect(address, "monsoon_dispatcher") as connection:
        yield Store(connection, SETTINGS)


def test_a_ledger_is_made_and_shown(address, store, capsys, monkeypatch):
    assert main(["ledger", "migrate", "--ledger", address]) == 0
    assert capsys.readouterr().out == "the ledger is up to date\n"
    monkeypatch.setenv("MONSOON_LEDGER", address)
    assert main(["ledger", "balances"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"account", "kind", "balance_paise"} == set(rows[0])
    assert main(["ledger", "loss-ratio"]) == 0


@pytest.mark.parametrize("words", [["ledger", "balances"], ["dispatch"], ["reconcile"]], ids=lambda words: words[0])
def test_without_a_ledger(capsys, monkeypatch, tmp_path, words):
    monkeypatch.delenv("MONSOON_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)
    wrong = "no ledger: give --ledger URL, set MONSOON_LEDGER, or bring one up: ./monsoon up --payments"
    for place in ([], ["--stack", str(tmp_path)]):
        assert main([*words, *place]) == 1
        assert capsys.readouterr().err == f"monsoon {words[0]}: {wrong}\n"


def test_the_ledger_of_a_stack_and_its_provider(monkeypatch, tmp_path):
    """What an option names counts first, then a stack that is named, the environment, the stack of the default folder;
    a provider is never that of another ledger's stack."""
    from monsoon.cli.ledger_options import ledger_address, provider_address
    from monsoon.pipelines.stack.payments import PaymentOptions

    payments = PaymentOptions().record() | {"provider": "127.0.0.1:7"}
    addresses = {name: f"127.0.0.1:{port}" for port, name in enumerate(("broker", "controller", "zookeeper", "web"))}
    for folder in (tmp_path / "runs/stack", tmp_path / "named"):
        folder.mkdir(parents=True)
        (folder / "stack.json").write_text(json.dumps(addresses | {"payments": payments}))
    monkeypatch.chdir(tmp_path)

    def places(ledger=None, stack=None, provider=None):
        args = argparse.Namespace(ledger=ledger, stack=stack, provider=provider)
        return ledger_address(args), provider_address(args)

    monkeypatch.delenv("MONSOON_LEDGER", raising=False)
    default = f"postgresql://monsoon@/monsoon?host={tmp_path}/runs/stack/postgres"
    assert places() == (default, "http://127.0.0.1:7")
    assert places(provider="http://here") == (default, "http://here")
    assert places(ledger="postgresql://x") == ("postgresql://x", LOCAL)
    monkeypatch.setenv("MONSOON_LEDGER", "postgresql://y")
    assert places() == ("postgresql://y", LOCAL)
    named = f"postgresql://monsoon@/monsoon?host={tmp_path}/named/postgres"
    assert places(stack=tmp_path / "named") == (named, "http://127.0.0.1:7")


def test_dispatch_settings_of_a_stack_that_does_not_pay(capsys, tmp_path):
    assert main(["up", "--stack", str(tmp_path / "s"), "--dispatch-settings", "x.yaml"]) == 1
    assert "Give --payments too" in capsys.readouterr().err
    assert main(["up", "--stack", str(tmp_path / "s"), "--payments", "--dispatch-settings", "x.yaml"]) == 1
    assert "x.yaml" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_where_no_ledger_is(capsys, tmp_path):
    assert main(["ledger", "balances", "--ledger", f"postgresql://x@/none?host={tmp_path}"]) == 1
    said = capsys.readouterr().err
    assert "is PostgreSQL running at that address" in said
    assert said.count("\n") == 1


def test_reconcile_reports_and_exits_with_1_once(address, store, provider, capsys):
    store.take_in([instruction(1), instruction(2)])
    client = HttpProvider(provider, "rzp_test_key", "secret", ACCOUNT)
    Dispatcher("test", store, client, time.sleep).work_once()
    words = ["reconcile", "--ledger", address, "--provider", provider]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["agrees"], report["lines"], report["provider_paise"]) == (True, 2, -80_000)
    key = "p" + 32 * "9"
    body = {"account_number": ACCOUNT, "fund_account_id": "fa_9", "amount": 700, "currency": "INR", "mode": "UPI"}
    client.create(key, json.dumps(body | {"purpose": "payout", "reference_id": key}).encode())
    assert main(words) == 1
    told = capsys.readouterr()
    (difference,) = json.loads(told.out)["differences"]
    assert difference["paise"] == -700
    assert told.err == "monsoon reconcile: 1 differences; each has an entry now\n"
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--from", "2026-01-02T00:00:00+05:30", "--to", "2026-01-01T00:00:00+05:30"]) == 1
    assert "--from is not before --to" in capsys.readouterr().err


def test_reconcile_without_a_provider(address, store, capsys):
    words = ["reconcile", "--ledger", address, "--provider", f"http://127.0.0.1:{free_ports(1)[0]}"]
    assert main(words) == 1
    assert "is the provider at" in capsys.readouterr().err


def test_a_person_releases_and_closes(address, store, capsys):
    store.take_in([instruction(3)])
    reference = instruction(3).reference_id
    store.hold(reference, "test")
    store.set_breaker(True, "test")
    assert main(["dispatch", "--ledger", address, "--close-breaker", "looked at", "--release", reference]) == 0
    assert store.breaker() is None
    assert main(["dispatch", "--ledger", address, "--release", reference]) == 1
    assert capsys.readouterr().err == f"monsoon dispatch: no payment {reference} is held\n"


def test_the_environment_has_the_secrets(monkeypatch):
    from monsoon.cli.ledger_options import provider_key, webhook_secrets

    for name in ("MONSOON_PROVIDER_KEY", "MONSOON_WEBHOOK_SECRET"):
        os.environ.pop(name, None)
    assert provider_key(LOCAL) == ("rzp_test_key", "secret")
    monkeypatch.setenv("MONSOON_PROVIDER_KEY", "rzp_live_1:a:b")
    monkeypatch.setenv("MONSOON_WEBHOOK_SECRET", "old,new")
    assert provider_key(LOCAL) == ("rzp_live_1", "a:b")
    assert webhook_secrets(LOCAL) == ("old", "new")


@pytest.mark.parametrize(
    ("key", "secret", "url", "wrong"),
    [
        (None, None, "https://api.razorpay.com", "set MONSOON_PROVIDER_KEY in the environment"),
        ("id:secret", None, "https://api.razorpay.com", "set MONSOON_WEBHOOK_SECRET in the environment"),
        ("id", None, LOCAL, "MONSOON_PROVIDER_KEY is no KEY_ID:KEY_SECRET"),
        ("id:", None, LOCAL, "MONSOON_PROVIDER_KEY is no KEY_ID:KEY_SECRET"),
        ("id:secret", "", LOCAL, "has an empty secret"),
        ("id:secret", "new,", LOCAL, "has an empty secret"),
        ("id:secret", "new", "http://pay.example", "the key would be readable on its way"),
    ],
    ids=range(7),
)
def test_secrets_are_real_ones_where_the_provider_is(address, capsys, monkeypatch, key, secret, url, wrong):
    """The simulator's are known to all: with them anybody could sign webhooks."""
    for name, value in (("MONSOON_PROVIDER_KEY", key), ("MONSOON_WEBHOOK_SECRET", secret)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert main(["dispatch", "--ledger", address, "--provider", url, "--webhook-port", "1"]) == 1
    said = capsys.readouterr().err
    assert wrong in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("limits: {hour_inr: 0}", "hour_inr"),
        ("limits: {hour_inr: 5, rider_day_inr: 6}", "one rider's day would stop all payments"),
        ("limits: {hourly: 5}", "hourly"),
        ("patience: {first_retry_s: 400}", "less than first_retry_s"),
        ("provider: {url: http://pay.example}", "the key would be readable on its way"),
        ("provider: {url: https://key:secret@pay.example}", "is no address of a provider"),
        ("instance: {webhook_port: 9, metrics_port: 9}", "the same as webhook_port"),
        ("instance: {webhook_host: here}", "is no IPv4 address"),
        ("instance: [", "settings.yaml:"),
        ("", "settings.yaml"),
    ],
)
def test_a_settings_file_with_a_fault(address, capsys, tmp_path, text, wrong):
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    assert main(["dispatch", "--ledger", address, "--settings", str(tmp_path / "settings.yaml")]) == 1
    said = capsys.readouterr().err
    assert wrong in said
    assert said.count("\n") == 1


def test_options_count_before_the_settings_file(root):
    from monsoon.cli.dispatch import _chosen, _settings
    from monsoon.cli.main import _parser

    words = ["dispatch", "--settings", str(root / "infra/cautious.dispatch.yaml"), "--hour-limit-inr", "5000"]
    chosen = _chosen(_parser(words).parse_args([*words, "--workers", "3"]))
    assert (chosen.provider.url, chosen.instance.workers) == ("https://api.razorpay.com", 3)
    settings = _settings(chosen)
    assert (settings.hour_limit_paise, settings.rider_day_limit_paise) == (500_000, 200_000)
    assert (settings.requests_per_s, settings.burst) == (5, 5)
    assert settings == replace(_settings(chosen), patience=Patience())
    words = ["dispatch", "--settings", str(root / "infra/example.dispatch.yaml")]
    example = _chosen(_parser(words).parse_args(words))
    assert _settings(example) == DispatchSettings(ACCOUNT)
