"""Open vSwitch: the provider bridges and the NICs in them."""

from typing import Any

from . import shell

Json = dict[str, Any]


def check(desired: Json) -> list[str]:
    """Settings, bridges and ports that are missing or of the wrong datapath."""
    wrong = [f"{name} is not {value}" for name, value in desired["settings"].items() if _setting(name) != value]
    present = set(_vsctl("list-br").split())
    for bridge, ports in desired["bridges"].items():
        if bridge not in present:
            wrong.append(f"bridge {bridge} is missing")
            continue
        datapath = _vsctl("get", "bridge", bridge, "datapath_type").strip().strip('"')
        if (datapath or "system") != desired["datapath"]:
            wrong.append(f"bridge {bridge} has datapath {datapath or 'system'}, not {desired['datapath']}")
        inside = set(_vsctl("list-ports", bridge).split())
        wrong += [f"NIC {port} is not in bridge {bridge}" for port in ports if port not in inside]
    if desired["manager"] not in _vsctl("get-manager").split():
        wrong.append(f"the database does not listen on {desired['manager']}")
    return wrong


def apply(desired: Json) -> None:
    """Make it so. Settings come first, on a switch without bridges: the daemon reads them when it starts."""
    stale = {name: value for name, value in desired["settings"].items() if _setting(name) != value}
    for name, value in stale.items():
        _vsctl("set", "Open_vSwitch", ".", f"other_config:{name}={value}")
    if stale:
        shell.run(["systemctl", "restart", "openvswitch-switch"])
    for bridge, ports in desired["bridges"].items():
        _vsctl(
            "--may-exist",
            "add-br",
            bridge,
            "--",
            "set",
            "bridge",
            bridge,
            f"datapath_type={desired['datapath']}",
        )
        for port in ports:
            _vsctl("--may-exist", "add-port", bridge, port)
            shell.run(["ip", "link", "set", port, "up"])
    if desired["manager"] not in _vsctl("get-manager").split():
        _vsctl("set-manager", desired["manager"])


def _setting(name: str) -> str:
    return _vsctl("--if-exists", "get", "Open_vSwitch", ".", f"other_config:{name}").strip().strip('"')


def _vsctl(*arguments: str) -> str:
    return shell.run(["ovs-vsctl", "--timeout=15", *arguments])
