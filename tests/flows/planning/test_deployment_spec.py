"""Where the flows of instances are found: beside bootstrap, in the form in which bootstrap is."""

from uuid import uuid4

import pytest
from prefect.client.schemas.responses import DeploymentResponse

from definitions.contract import FlowKind
from flows.planning.deployment_spec import Storage


@pytest.mark.parametrize(
    ("bootstrap", "refresh"),
    [
        ("flows/bootstrap.py:bootstrap", "flows/dataset.py:refresh"),
        ("/opt/optaic/flows/bootstrap.py:bootstrap", "/opt/optaic/flows/dataset.py:refresh"),
        ("bootstrap.py:bootstrap", "dataset.py:refresh"),
        ("flows.bootstrap.bootstrap", "flows.dataset.refresh"),
        (None, "flows/dataset.py:refresh"),
    ],
)
def test_an_entrypoint_has_the_form_of_bootstraps(bootstrap: str | None, refresh: str) -> None:
    response = DeploymentResponse(id=uuid4(), name="bootstrap", flow_id=uuid4(), entrypoint=bootstrap, labels={})
    assert Storage.of(response.model_dump(mode="json")).entrypoint(FlowKind.REFRESH) == refresh
