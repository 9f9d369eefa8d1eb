"""Names: of a run, and of what it leaves on its page."""

import datetime as dt

from prefect.runtime import flow_run


def name_of_run(label: str, due: dt.datetime) -> str:
    """Return the name of a run: its flow, like 'prices.refresh', and when it was due, in UTC."""
    return f"{label} {due:%Y-%m-%d %H:%M:%S}"


def run_name() -> str:
    """Return the name of the current run, as it bears it from its start on, whoever has created it."""
    kind = flow_run.parameters.get("flow") or flow_run.flow_name  # what a package brings is run by one function
    return name_of_run(f"{flow_run.parameters['instance']}.{kind}", flow_run.scheduled_start_time)


def housekeeping_name() -> str:
    """Return the name of the current run of a flow that is of no instance: the flow, and when it was due."""
    return f"{flow_run.flow_name} {flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"


def upstreams_key(instance: str, kind: str) -> str:
    """Return the key of the artifact in which the runs of a flow say what their guard has seen."""
    return f"{instance}-{kind}-upstreams"


def outcome_key(instance: str, kind: str) -> str:
    """Return the key of the artifact in which the runs of a flow say what they left."""
    return f"{instance}-{kind}-outcome"
