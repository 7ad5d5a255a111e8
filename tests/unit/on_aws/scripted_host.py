"""EC2 and Systems Manager, as far as Kestra's host is asked for by them."""

from types import SimpleNamespace
from typing import Any


class ParameterAlreadyExists(Exception):
    """As Systems Manager's client has it."""


class ParameterNotFound(Exception):
    """As Systems Manager's client has it."""


class Ec2:
    """An account with one instance, or with none (`state` is None)."""

    def __init__(self, state: str | None = "running") -> None:
        self.state = state
        self.stopped: list[str] = []
        self.waited_for: list[str] = []

    def describe_instances(self, *, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        asked = {each["Name"]: each["Values"] for each in Filters}
        assert asked["tag:Name"] == ["acme-kestra-host"]
        if self.state not in asked["instance-state-name"]:
            return {"Reservations": []}
        instance = {"InstanceId": "i-0123", "State": {"Name": self.state}, "InstanceType": "t3.large"}
        return {"Reservations": [{"Instances": [instance]}]}

    def stop_instances(self, *, InstanceIds: list[str]) -> None:  # noqa: N803
        self.stopped += InstanceIds

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda InstanceIds: self.waited_for.append(f"{name} {InstanceIds}"))  # noqa: N803


class Ssm:
    """Parameters, and what is said of the instance's connection (None: nothing)."""

    exceptions = SimpleNamespace(ParameterAlreadyExists=ParameterAlreadyExists, ParameterNotFound=ParameterNotFound)

    def __init__(self, ping: str | None = "Online") -> None:
        self.ping = ping
        self.parameters: dict[str, dict[str, Any]] = {}

    def describe_instance_information(self, *, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert Filters == [{"Key": "InstanceIds", "Values": ["i-0123"]}]
        return {"InstanceInformationList": [{"PingStatus": self.ping}] if self.ping else []}

    def put_parameter(self, *, Name: str, **parameter: Any) -> None:  # noqa: N803
        if Name in self.parameters:
            raise ParameterAlreadyExists(Name)
        self.parameters[Name] = parameter

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        if Name not in self.parameters:
            raise ParameterNotFound(Name)
        return {"Parameter": self.parameters[Name]}

    def delete_parameter(self, *, Name: str) -> None:  # noqa: N803
        if Name not in self.parameters:
            raise ParameterNotFound(Name)
        del self.parameters[Name]
