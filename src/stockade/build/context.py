"""What service files may know when they render: the cloud, its timers, its secrets and each host's hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stockade.build.ini import Setting, reasoned, render, section
from stockade.build.model import Service
from stockade.build.secrets import Secrets
from stockade.cloud.model import Cloud, HaProfile, Host, Plane
from stockade.cloud.timers import Timers

DATABASE_PORT = 3307
"""Where each controller's HAProxy offers the database writer, on loopback (3306 is MariaDB's own)."""
DATABASE_BACKEND = "database"
"""HAProxy's name for the database members."""
MEMCACHED_PORT = 11211
ETCD_CLIENT_PORT = 2379
RPC_RESPONSE_TIMEOUT_S = 60
ETC = "/etc/stockade"
CA_FILE = f"{ETC}/ca.pem"
AGENT_PORT = 9200
"""Where each controller's agent answers for the database (HAProxy's health check of it)."""
MONITOR_PORT = 9201
"""Where HAProxy gives a sign of life, to keepalived and the agent; loopback only."""
PROXY_PORT = 9202
"""Where each controller's agent says whether HAProxy there works, and with it the APIs' way to the database."""

DATABASE_READ_TIMEOUT_S = 60
"""A session that HAProxy was opening when its server died is never answered, nor closed (seen with 3.0.11): without a
bound of its own the client waits for ever. Longer than InnoDB waits for a lock (50 s)."""
_QUERY = f"?charset=utf8mb4&read_timeout={DATABASE_READ_TIMEOUT_S}&write_timeout={DATABASE_READ_TIMEOUT_S}"


@dataclass(frozen=True, slots=True)
class Hardware:
    """Facts of a host that settings depend on."""

    cores: int = 2
    memory_mib: int = 4096
    kvm: bool = False
    """A hardware-accelerated guest was really started."""
    openvswitch_module: bool = False
    interfaces: Mapping[str, str] = field(default_factory=dict)
    """NIC by the IPv4 address it carries."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything rendering depends on; the same context always renders the same bundles."""

    cloud: Cloud
    timers: Timers
    secrets: Secrets
    hardware: Mapping[str, Hardware]
    services: Sequence[Service]
    absent: frozenset[str] = frozenset()
    """Hosts that do not answer just now: what one host does for all is another's task meanwhile."""

    @property
    def small(self) -> bool:
        """True on a lab-sized cloud, where every process counts."""
        return self.cloud.ha_profile is HaProfile.SMALL

    def workers(self, host: Host) -> int:
        """Processes per API on `host`."""
        if self.cloud.api_workers is not None:
            return self.cloud.api_workers
        return max(2, min(8, self.hardware[host.name].cores // 2))

    def rotated(self, host: Host) -> tuple[Host, ...]:
        """Controllers starting with `host` (or with a place of its own for other hosts), to spread clients."""
        controllers = self.cloud.controllers
        names = [each.name for each in self.cloud.hosts]
        start = names.index(host.name) % len(controllers)
        if host in controllers:
            start = controllers.index(host)
        return controllers[start:] + controllers[:start]

    def interface(self, host: Host, plane: Plane) -> str:
        """The NIC of `host` that carries its address on `plane`, or the one the cloud file names."""
        address = str(host.addresses.get(plane, ""))
        return self.hardware[host.name].interfaces.get(address) or host.nics[plane]

    def overrides(self, service: str) -> Mapping[str, Mapping[str, str]]:
        """The operator's own settings for `service`."""
        return self.cloud.options.get(service, {})

    def ini(self, service: str, settings: Sequence[Setting]) -> str:
        """A service's configuration file with the operator's own settings laid over it."""
        return render(settings, self.overrides(service))

    def database_url(self, name: str, database: str = "") -> str:
        """SQLAlchemy URL of a service's database, through the local HAProxy to the one writer."""
        password = self.secrets.password(f"database.{name}")
        return f"mysql+pymysql://{name}:{password}@127.0.0.1:{DATABASE_PORT}/{database or name}{_QUERY}"

    def transport_url(self, name: str, host: Host) -> str:
        """oslo.messaging URL with all three brokers, never through a VIP; the order differs per host."""
        password = self.secrets.password(f"rabbit.{name}")
        members = ",".join(f"{name}:{password}@{each.management}:5672" for each in self.rotated(host))
        return f"rabbit://{members}/{name}"

    @property
    def memcached_servers(self) -> str:
        """All memcached servers, in the same order everywhere, so that all clients hash alike."""
        return ",".join(f"{host.management}:{MEMCACHED_PORT}" for host in self.cloud.controllers)

    def internal_url(self, port: int, path: str = "") -> str:
        """URL of an API at the internal VIP."""
        return f"http://{self.cloud.internal_vip}:{port}{path}"

    def external_url(self, port: int, path: str = "") -> str:
        """URL of an API as users reach it."""
        return f"https://{self.cloud.external_name}:{port}{path}"

    def coordination_url(self, host: Host, directory: str) -> str:
        """tooz URL of the host's own etcd member, with client credentials in `directory`.

        tooz takes one endpoint, so a service follows its local member: both live and die with the controller.
        """
        timers = self.timers
        return (
            f"etcd3+https://{host.management}:{ETCD_CLIENT_PORT}?api_version=v3&timeout=5"
            f"&lock_timeout={timers.tooz_lock_timeout_s}&membership_timeout={timers.tooz_lock_timeout_s}"
            f"&ca_cert={CA_FILE}&cert_cert={directory}/etcd-client.pem&cert_key={directory}/etcd-client.key"
        )

    def database(self, name: str, database: str = "", group: str = "database") -> list[Setting]:
        """[database] of an OpenStack service."""
        return [
            *section(group, connection=self.database_url(name, database)),
            reasoned(
                group,
                "max_retries",
                -1,
                "Keep trying at start: a daemon must outlive a long database outage.",
            ),
            reasoned(
                group,
                "connection_recycle_time",
                280,
                "Below the server's wait_timeout and the proxy's timeouts, so no pooled connection is found dead.",
            ),
            *section(group, max_pool_size=5, max_overflow=20, db_max_retries=20),
            reasoned(
                group,
                "db_max_retry_interval",
                5,
                "A failover takes seconds; longer back-off only prolongs it.",
            ),
            *section(group, retry_interval=2),
        ]

    def messaging(self, name: str, host: Host, *, threads: bool = False) -> list[Setting]:
        """transport_url and [oslo_messaging_rabbit]; `threads` for uWSGI APIs, whose heartbeat needs a real thread."""
        rabbit = "oslo_messaging_rabbit"
        timers = self.timers
        settings = [
            *section("DEFAULT", transport_url=self.transport_url(name, host)),
            reasoned(
                "DEFAULT",
                "rpc_response_timeout",
                RPC_RESPONSE_TIMEOUT_S,
                "How long a caller waits for a server that died with its request; the back ends' timeouts are longer.",
            ),
            reasoned(rabbit, "rabbit_quorum_queue", True, "Replicated queues: a broker's death loses no message."),
            reasoned(
                rabbit,
                "rabbit_transient_quorum_queue",
                True,
                "Reply queues survive too, so no answer is lost.",
            ),
            reasoned(rabbit, "rabbit_stream_fanout", True, "One stream instead of a fanout queue per consumer."),
            reasoned(rabbit, "rabbit_qos_prefetch_count", 10, "Streams need a prefetch above zero."),
            reasoned(
                rabbit,
                "use_queue_manager",
                True,
                "Stable reply-queue names: a restart makes no new quorum queue. Needs lock_path below.",
            ),
            reasoned(
                rabbit,
                "heartbeat_timeout_threshold",
                timers.rabbit_client_heartbeat_s,
                "Also sets TCP_USER_TIMEOUT: how soon a silent broker is left. The library's default is 60.",
            ),
            *section(rabbit, heartbeat_rate=3),
            reasoned(rabbit, "kombu_reconnect_splay", "1.0", "Spread reconnects after a broker's death."),
            *section(rabbit, kombu_reconnect_delay="0.5", kombu_failover_strategy="shuffle"),
            reasoned(rabbit, "rabbit_interval_max", 5, "Back-off to the default 30 s prolongs an outage."),
            *section(rabbit, rabbit_retry_interval=1, rabbit_retry_backoff=1),
            reasoned(rabbit, "kombu_missing_consumer_retry_timeout", 20, "Below rpc_response_timeout."),
            reasoned(rabbit, "rabbit_transient_queues_ttl", 600, "Dead reply queues vanish in ten minutes."),
        ]
        if threads:
            settings.append(
                reasoned(
                    rabbit,
                    "heartbeat_in_pthread",
                    True,
                    "uWSGI only: a worker without traffic must still beat.",
                )
            )
        return settings

    def lock_path(self, name: str) -> list[Setting]:
        """[oslo_concurrency]; Debian leaves lock_path out of several services, and the queue manager needs it."""
        return section("oslo_concurrency", lock_path=f"/var/lib/{name}/lock")

    def auth(self, user: str, group: str, **extra: object) -> list[Setting]:
        """Password credentials of service user `user` in section `group`."""
        return section(
            group,
            auth_type="password",
            auth_url=self.internal_url(5000, "/v3"),
            project_domain_name="Default",
            user_domain_name="Default",
            project_name="service",
            username=user,
            password=self.secrets.password(f"keystone.{user}"),
            **extra,
        )

    def token_validation(self, user: str) -> list[Setting]:
        """[keystone_authtoken] of an API."""
        group = "keystone_authtoken"
        timers = self.timers
        return [
            *self.auth(user, group),
            *section(
                group,
                www_authenticate_uri=self.external_url(5000),
                region_name=self.cloud.region,
                interface="internal",
                service_token_roles="service",
                service_token_roles_required=True,
                memcached_servers=self.memcached_servers,
            ),
            reasoned(
                group,
                "memcache_pool_dead_retry",
                timers.memcache_dead_retry_s,
                "The default 300 keeps a healed server out for five minutes.",
            ),
            reasoned(
                group,
                "memcache_pool_socket_timeout",
                max(1, round(timers.memcache_socket_timeout_s)),
                "What a silent memcached may cost one request, in whole seconds; the default is 3.",
            ),
            reasoned(group, "memcache_security_strategy", "ENCRYPT", "memcached has no authentication."),
            *section(group, memcache_secret_key=self.secrets.password("memcached.encryption")),
        ]

    def service_token(self, user: str) -> list[Setting]:
        """[service_user]: long operations must not fail when the user's token expires half-way."""
        return self.auth(user, "service_user", send_service_user_token=True)

    def cache(self) -> list[Setting]:
        """[cache] of an OpenStack service."""
        timers = self.timers
        return [
            *section(
                "cache",
                enabled=True,
                backend="oslo_cache.memcache_pool",
                memcache_servers=self.memcached_servers,
            ),
            reasoned("cache", "memcache_dead_retry", timers.memcache_dead_retry_s, "See keystone_authtoken."),
            *section("cache", memcache_socket_timeout=timers.memcache_socket_timeout_s),
        ]
