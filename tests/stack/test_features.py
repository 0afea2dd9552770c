"""Redis and the consumer of features as parts of a stack."""

import socket

import msgspec
import pytest
from kit.needs import need

from monsoon.cli.main import main
from monsoon.pipelines.stack import features, jars, redis_server
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.ports import free_ports
from monsoon.pipelines.stack.redis_server import RedisServer
from monsoon.sources.kafka.settings import FeatureSettings, KafkaSettings, LiveSettings


@pytest.fixture
def redis(tmp_path):
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    server = RedisServer(tmp_path, free_ports(1)[0])
    yield server
    server.stop(0)


def test_redis_is_empty_after_a_restart_and_writes_nothing(redis, tmp_path):
    from redis import Redis

    redis.start()
    with Redis.from_url(redis.url) as client:
        client.set("key", 1)
        redis.stop()  # in good order, in which others save
    assert list((tmp_path / "redis").iterdir()) == []
    redis.start()
    with Redis.from_url(redis.url) as client:
        assert client.dbsize() == 0
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_a_port_of_redis_that_is_taken_is_told(tmp_path):
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port}, for Redis, is taken; stop what listens there"):
            RedisServer(tmp_path, port).start()


def test_without_redis_server_nothing_is_started(stack, monkeypatch):
    monkeypatch.setattr(redis_server, "PROGRAM", "no-such-program")
    with pytest.raises(StackError, match="no-such-program is not installed; on Debian and Ubuntu: apt-get install red"):
        stack.up(features=True)
    assert not stack.folder.exists()
    assert stack.up()


def test_data_with_features_come_back_with_them(stack, monkeypatch):
    monkeypatch.setattr(features, "require_redis_server", lambda: None)
    stack.up()
    assert stack.features is None
    stack.down(keep_data=True)
    stack.up(features=True)
    record = stack.record["features"]
    assert stack.places() == {"redis": f"redis://{record['redis']}/0", "features": str(stack.folder / "features")}
    stack.down(keep_data=True)
    stack.up()
    assert stack.record["features"] == record, "as the other addresses"


@pytest.mark.parametrize("had", [False, True])
def test_up_with_other_options_than_before(stack, capsys, monkeypatch, had):
    monkeypatch.setattr(features, "require_redis_server", lambda: None)
    monkeypatch.setattr(jars, "are_fetched", lambda: True)
    command = ["up", "--no-job", "--stack", str(stack.folder), "--features"]
    stack.up()
    assert main(command) == 1
    assert "runs already, without features; monsoon down, then up --features" in capsys.readouterr().err
    settings = LiveSettings(KafkaSettings("127.0.0.1:1"), features=FeatureSettings(enabled=had))
    (stack.folder / "flink").mkdir()
    (stack.folder / "flink" / "live.json").write_bytes(msgspec.json.encode(settings))
    stack.down(keep_data=True)
    assert main(command) == int(not had)
    assert ("was submitted without features, and goes on so" in capsys.readouterr().err) == (not had)
