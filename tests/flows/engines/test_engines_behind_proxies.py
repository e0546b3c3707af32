"""A proxy between a client and an engine carries all of its bytes: when it is cut, nothing gets through."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import RoundRobinPolicy
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from redis.backoff import NoBackoff
from redis.retry import Retry

from engines.cassandra import Cassandra
from engines.kafka import Kafka
from engines.server import free_port
from engines.toxiproxy import Toxiproxy
from tests.engines import Engines

# Both drivers forget to close a socket whose connection was refused.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(name="proxies")
def fixture_proxies(engines: Engines) -> Iterator[Toxiproxy]:
    """Toxiproxy without proxies."""
    server = engines.server("toxiproxy")
    assert isinstance(server, Toxiproxy)
    yield server
    for name in server.ask("GET", "/proxies"):
        server.ask("DELETE", f"/proxies/{name}")
    gc.collect()


def test_redis_is_reached_only_through_the_proxy(engines: Engines, proxies: Toxiproxy) -> None:
    behind, port = engines.port("redis"), free_port()
    proxies.proxy("redis", port, behind)
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as client:
        assert client.ping()
        proxies.enable("redis", False)
        with pytest.raises(redis.ConnectionError):
            client.ping()


def test_kafka_advertises_the_proxy_to_its_clients(engines: Engines, proxies: Toxiproxy) -> None:
    server = engines.server("kafka")
    assert isinstance(server, Kafka)
    port = server.advertised_port
    proxies.proxy("kafka", port, server.upstream_port)
    address, topic = f"127.0.0.1:{port}", engines.kafka().rpartition("/")[2]
    with closing(KafkaAdminClient(bootstrap_servers=address)) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    with closing(KafkaProducer(bootstrap_servers=address, acks="all", max_block_ms=5_000)) as producer:
        producer.send(topic, b"one").get(10)
        with closing(KafkaConsumer(bootstrap_servers=address, consumer_timeout_ms=10_000)) as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek_to_beginning()
            assert next(consumer).value == b"one"
        proxies.enable("kafka", False)
        with pytest.raises(KafkaError):
            producer.send(topic, b"two").get(2)
        proxies.enable("kafka", True)
        producer.send(topic, b"three").get(30)


def test_kafka_creates_no_topic_automatically(engines: Engines) -> None:
    address, topic = f"127.0.0.1:{engines.port('kafka')}", engines.kafka().rpartition("/")[2]
    with closing(KafkaProducer(bootstrap_servers=address, max_block_ms=1_000)) as producer, pytest.raises(KafkaError):
        producer.send(topic, b"one").get(2)


def test_cassandra_with_one_node_is_reached_only_through_the_proxy(engines: Engines, proxies: Toxiproxy) -> None:
    server = engines.server("cassandra")
    assert isinstance(server, Cassandra)
    port = free_port()
    proxies.proxy("cassandra", port, server.port)
    everywhere = ExecutionProfile(load_balancing_policy=RoundRobinPolicy())
    cluster = Cluster(
        ["127.0.0.1"],
        port=port,
        connection_class=LibevConnection,
        execution_profiles={EXEC_PROFILE_DEFAULT: everywhere},
    )
    with cluster, cluster.connect() as session:
        assert session.execute("select release_version from system.local").one() is not None
        assert {host.endpoint.port for host in cluster.metadata.all_hosts()} == {port}
        proxies.enable("cassandra", False)
        with pytest.raises(NoHostAvailable):
            session.execute("select release_version from system.local")
