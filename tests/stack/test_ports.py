"""Ports that are free, and stay so while clients try to reach a server that is not there."""

import socket

import pytest

from monsoon.pipelines.stack import ports
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.ports import HOST, answers, free_ports, is_free


@pytest.fixture
def listener():
    with socket.create_server((HOST, 0)) as listening:
        yield listening


def test_a_port_on_which_something_listens_is_not_free(listener):
    port = listener.getsockname()[1]
    assert answers(port)
    assert not is_free(port)
    listener.close()
    assert not answers(port)
    assert is_free(port)


def test_free_ports_are_different_and_none_that_the_system_gives_to_clients(tmp_path, monkeypatch):
    (tmp_path / "range").write_text("20000\t60999\n")
    monkeypatch.setattr(ports, "_EPHEMERAL", tmp_path / "range")
    found = free_ports(50)
    assert len(set(found)) == 50
    assert all(15_000 <= port < 20_000 and is_free(port) for port in found)


@pytest.mark.parametrize("content", ["1024 65535\n", None])
def test_a_system_that_gives_all_to_clients_or_does_not_tell(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "range").write_text(content)
    monkeypatch.setattr(ports, "_EPHEMERAL", tmp_path / "range")
    assert is_free(free_ports(1)[0])


def test_too_few_are_told(monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(StackError, match="fewer than 3 free ports"):
        free_ports(3)
