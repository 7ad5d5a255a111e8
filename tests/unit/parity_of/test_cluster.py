"""Versions, Spark's properties and a step's environment: what is right, known, or different."""

from dataclasses import replace
from typing import Any

import pytest

from drydock.parity_of import cluster
from drydock.parity_of.comparison import AWS, LOCAL, Section, Verdict
from drydock.parity_of.facts import Facts


def told(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, told={**facts.told, **changes})


def verdicts(section: Section) -> dict[str, str]:
    return {item.what: item.verdict.value for item in section.items}


def different(section: Section) -> set[str]:
    return {item.what for item in section.items if item.verdict is Verdict.DIFFERENT}


def test_a_cluster_as_it_should_be(facts: Facts) -> None:
    sides = {LOCAL: facts}
    assert set(verdicts(cluster.versions(sides)).values()) == {"same"}
    assert verdicts(cluster.spark_properties(sides)) == {
        "spark.app.id": "same",
        "spark.driver.extraJavaOptions": "same",
        "spark.driver.memory": "same",
        "spark.master": "known difference",
    }
    environment = verdicts(cluster.environment(sides))
    assert environment["PATH"] == environment["HADOOP_LOG_DIR"] == environment["AWS_REGION"] == "same"
    assert environment["AWS_ENDPOINT_URL"] == "known difference"


@pytest.mark.parametrize("version", ["3.5.7", "3.5.60", "4"])
def test_another_version_is_a_difference(facts: Facts, version: str) -> None:
    other = told(facts, versions={**facts.told["versions"], "spark": version})
    assert different(cluster.versions({LOCAL: other})) == {"spark"}


def test_amazon_s_build_of_a_version_is_that_version(facts: Facts) -> None:
    amazon = {name: f"{version}-amzn-2" for name, version in facts.told["versions"].items()}
    assert not different(cluster.versions({LOCAL: facts, AWS: told(facts, versions=amazon)}))


def test_executors_that_differ_are_a_difference(facts: Facts) -> None:
    [line] = facts.told["executors_python"]
    others = [line, line.replace("numpy ", "numpy 1.")]
    assert different(cluster.versions({LOCAL: told(facts, executors_python=others)})) == {"numpy, on executors"}


def test_who_has_told_nothing_is_not_looked_at(facts: Facts) -> None:
    silent = {LOCAL: replace(facts, told={})}
    for section in (cluster.versions(silent), cluster.spark_properties(silent), cluster.environment(silent)):
        assert set(verdicts(section).values()) == {"not looked at"}, section.title


def test_a_property_that_was_asked_for_and_is_not_in_force(facts: Facts) -> None:
    properties = {**facts.told["spark_properties"], "spark.driver.memory": "1g"}
    assert different(cluster.spark_properties({LOCAL: told(facts, spark_properties=properties)})) == {
        "spark.driver.memory"
    }


def test_a_property_that_nobody_knows_of(facts: Facts) -> None:
    properties = {**facts.told["spark_properties"], "spark.surprising": "1"}
    sides = {LOCAL: told(facts, spark_properties=properties)}
    assert different(cluster.spark_properties(sides)) == {"spark.surprising"}
    assert verdicts(cluster.spark_properties({LOCAL: facts, AWS: sides[LOCAL]}))["spark.surprising"] == (
        "known difference"  # of Amazon's defaults nobody has a list
    )


def test_a_deployment_by_itself_is_held_against_what_is_known(facts: Facts) -> None:
    properties = {**facts.told["spark_properties"], "spark.surprising": "1"}
    section = cluster.spark_properties({AWS: told(facts, spark_properties=properties)})
    assert verdicts(section) == {
        **verdicts(cluster.spark_properties({LOCAL: facts})),
        "spark.surprising": "not looked at",
    }


def test_a_variable_that_no_step_of_emr_has(facts: Facts) -> None:
    environment = [*facts.told["environment"], "AWS_REGION", "HOMEMADE"]
    assert different(cluster.environment({LOCAL: told(facts, environment=environment)})) == {"AWS_REGION", "HOMEMADE"}
