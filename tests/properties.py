"""On how many examples a property is tried: on few in `make test`, on four times as many in `make torture`."""

from collections.abc import Iterable

from hypothesis import HealthCheck, settings

_EXAMPLES = 100  # of a property that says nothing of its own
_TORTURE = 4  # times as many in `make torture`, which is to take 20 minutes at most


def register_profiles() -> None:
    """Make known what `--hypothesis-profile` names."""
    settings.register_profile(
        "usual",
        max_examples=_EXAMPLES,
        derandomize=True,  # what fails once fails again, here and in CI
        database=None,
        deadline=None,  # an example that takes long says only that the machine is busy
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("torture", settings.get_profile("usual"), max_examples=_TORTURE * _EXAMPLES)


def examples(count: int, *, steps: int | None = None, suppress: Iterable[HealthCheck] = ()) -> settings:
    """Return the settings of a property that is tried on `count` examples in `make test`.

    `steps` is how many a walk of a state machine takes at most.
    """
    profile = settings()
    return settings(
        max_examples=count * profile.max_examples // _EXAMPLES,
        stateful_step_count=steps or profile.stateful_step_count,
        suppress_health_check=[*profile.suppress_health_check, *suppress],
        report_multiple_bugs=steps is None,
    )
