"""Names: of a run, and of what it leaves on its page."""

from prefect.runtime import flow_run


def run_name() -> str:
    """Return the name of the current run: its flow, and when it was due."""
    parameters, due = flow_run.parameters, flow_run.scheduled_start_time
    kind = parameters.get("flow") or flow_run.flow_name  # what a package brings is run by one function
    return f"{parameters['instance']}.{kind} {due:%Y-%m-%d %H:%M:%S}"


def housekeeping_name() -> str:
    """Return the name of the current run of a flow that is of no instance: the flow, and when it was due."""
    return f"{flow_run.flow_name} {flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"


def upstreams_key(instance: str, kind: str) -> str:
    """Return the key of the artifact in which the runs of a flow say what their guard has seen."""
    return f"{instance}-{kind}-upstreams"


def outcome_key(instance: str, kind: str) -> str:
    """Return the key of the artifact in which the runs of a flow say what they left."""
    return f"{instance}-{kind}-outcome"
