"""`flow`: what it makes of FLOW, DATE and INPUTS. Running one: tests/engine/test_flow_verb.py, tests/platform."""

import pytest

from drydock import flow
from drydock.errors import NotRunning, UsageError

MONTHLY = {
    "id": "monthly",
    "namespace": "drydock",
    "inputs": [
        {"id": "month", "type": "STRING", "required": True},
        {"id": "date", "type": "DATE", "required": True},
        {"id": "rows", "type": "INT", "required": True, "defaults": 100},
        {"id": "carrier", "type": "STRING", "required": False},
        {"id": "limit", "type": "INT", "required": True, "dependsOn": {"inputs": ["carrier"]}},
    ],
}
OTHER = {"id": "daily", "namespace": "acme.data"}


def test_inputs_are_taken_as_kestra_takes_them() -> None:
    given = '{"month": "2026-11", "rows": 1000, "dry": true, "only": ["a", "é"], "rest": {"b": 1.5}}'
    assert flow.read_inputs("monthly", "2026-11-30", given) == {
        "date": "2026-11-30",
        "month": "2026-11",
        "rows": "1000",
        "dry": "true",
        "only": '["a", "\\u00e9"]',
        "rest": '{"b": 1.5}',
    }
    assert flow.read_inputs("monthly", "", "") == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("", "", ""), "FLOW is missing; expected a flow's id, such as `make flow FLOW=data_generation "),
        (("monthly", "2026-02-30", ""), "DATE is `2026-02-30`; expected a day as YYYY-MM-DD"),
        (("monthly", "", "month=2026-11"), "INPUTS is `month=2026-11`, which is not JSON: "),
        (("monthly", "", "[1]"), "INPUTS is `[1]`; expected a JSON object of the flow's inputs"),
        (("monthly", "", '{"month": null}'), "INPUTS gives `month` as null. An input without a value is left out."),
        (("monthly", "2026-11-30", '{"date": "2026-11-30"}'), "The input `date` is given twice, as DATE and in INPUTS"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(given: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        flow.flow(*given)
    assert sentence in str(refused.value)


def test_a_platform_that_does_not_run_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    with pytest.raises(NotRunning, match=r"`make local-up` starts it\."):
        flow.flow("monthly")


def test_a_flow_is_found_by_its_id_or_its_full_name() -> None:
    assert flow.chosen([MONTHLY, OTHER], "daily") is OTHER
    assert flow.chosen([MONTHLY, OTHER], "acme.data.daily") is OTHER


def test_a_flow_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError) as refused:
        flow.chosen([MONTHLY, OTHER], "weekly")
    assert str(refused.value) == "FLOW is `weekly`; Kestra knows no flow of that name. There are: daily, monthly."
    with pytest.raises(UsageError, match=r"There are: none\."):
        flow.chosen([], "weekly")


def test_of_two_flows_with_one_id_the_namespace_has_to_be_said() -> None:
    twin = {**OTHER, "namespace": "drydock"}
    with pytest.raises(UsageError, match=r"there are `acme\.data\.daily`, `drydock\.daily`: say which\."):
        flow.chosen([twin, OTHER], "daily")


def test_an_input_that_the_flow_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(UsageError) as refused:
        flow.check_inputs(MONTHLY, {"month": "2026-11", "date": "2026-11-30", "mnth": "x", "row": "1"})
    assert str(refused.value) == (
        "The flow monthly has no input `mnth`, `row`. Its inputs: `month` (STRING), `date` (DATE), `rows` (INT), "
        "`carrier` (STRING), `limit` (INT)."
    )
    with pytest.raises(UsageError, match=r"The flow daily has no input `date`\. Its inputs: none\."):
        flow.check_inputs(OTHER, {"date": "2026-11-30"})


def test_an_input_that_the_flow_needs_is_asked_for() -> None:
    with pytest.raises(UsageError) as refused:
        flow.check_inputs(MONTHLY, {})
    assert str(refused.value) == (
        "The flow monthly needs `month` (STRING), `date` (DATE): `make flow FLOW=monthly "
        """INPUTS='{"month": "…", "date": "…"}'`, or DATE for `date`."""
    )
    flow.check_inputs(MONTHLY, {"month": "2026-11", "date": "2026-11-30"})
