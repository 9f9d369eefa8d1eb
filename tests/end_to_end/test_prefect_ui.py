"""Bootstrap as an operations person runs it: `prefect deploy`, then a click in the Prefect UI."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, StateType
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from prefect_optaic.stack import Target
from prefect_optaic.stack.prepare import deploy_missing
from tests.flows.lab import Lab, Play

PATIENCE = 60  # seconds; the page is there in 3 of them, the run in 15


def chromium_and_driver() -> tuple[str, str]:
    """Return the paths of both. Without them there is no test; in CI that is an error."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without("a click in the Prefect UI needs Chromium and its driver: `apt-get install chromium chromium-driver`")
    return chromium, driver


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    chromium, driver = chromium_and_driver()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"):
        options.add_argument(argument)
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def quick_run(browser: webdriver.Chrome, page: str) -> None:
    """Start a run of a deployment from its page, as a person does: Run, then Quick run."""
    wait = WebDriverWait(browser, PATIENCE)
    browser.get(page)
    wait.until(expected_conditions.element_to_be_clickable((By.CSS_SELECTOR, "button.run-menu__run-button"))).click()
    item = (By.XPATH, "//*[normalize-space(.)='Quick run' and not(*[normalize-space(.)='Quick run'])]")
    wait.until(expected_conditions.element_to_be_clickable(item)).click()


async def runs_of(client: PrefectClient, deployment: object) -> list[FlowRun]:
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId.model_validate({"any_": [deployment]}))
    return await client.read_flow_runs(flow_run_filter=wanted)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_browser_it_is_said_how_to_have_one_and_ci_insists(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(outcome, match="`apt-get install chromium chromium-driver`"):
        chromium_and_driver()


def test_a_click_in_the_prefect_ui_gives_every_instance_its_deployment(
    play: Play, stack: Target, browser: webdriver.Chrome
) -> None:
    deploy_missing(stack)

    async def scenario(lab: Lab) -> None:
        for name in ("bootstrap/bootstrap", "sweep/sweep"):
            deployment = await lab.client.read_deployment_by_name(name)
            for schedule in deployment.schedules:  # only the click starts it
                await lab.client.update_deployment_schedule(deployment.id, schedule.id, active=False)
        bootstrap = await lab.client.read_deployment_by_name("bootstrap/bootstrap")
        before = {run.id for run in await runs_of(lab.client, bootstrap.id)}
        await lab.source("prices", schedule={"type": "cron", "expression": "0 18 1 1 *"})
        await lab.signal("signal", ["prices"])
        await lab.signal("second", ["signal"])

        await asyncio.to_thread(quick_run, browser, f"{stack.ui_url}/deployments/deployment/{bootstrap.id}")

        deadline = time.monotonic() + PATIENCE
        run: FlowRun | None = None
        while run is None or run.state is None or not run.state.is_final():
            assert time.monotonic() < deadline, f"no run has ended within {PATIENCE} seconds: {run}"
            await asyncio.sleep(0.3)
            run = next((r for r in await runs_of(lab.client, bootstrap.id) if r.id not in before), None)
        assert run.state.type is StateType.COMPLETED, run.state.message
        for name in ("prices", "signal", "second"):
            made = await lab.client.read_deployment(lab.deployment(name))
            assert made.name == lab.prefix + name
            assert made.parameters == {"instance": lab.prefix + name}
            assert made.pull_steps == bootstrap.pull_steps
            assert (made.work_pool_name, made.work_queue_name) == (
                bootstrap.work_pool_name,
                bootstrap.work_queue_name,
            )

    play(scenario)
