"""The picture of the lineage: SVG, PNG, and the artifact that is renewed only when it shows something new."""

import asyncio
from dataclasses import replace
from xml.etree import ElementTree

from prefect import flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact

from definitions.contract import FlowKind
from flows.drawing.lineage_layout import Graph, lay_out
from flows.drawing.lineage_svg import KEY, MOST_FLOWS, save_lineage, to_markdown, to_png, to_svg
from flows.drawing.status_colours import STATUS_COLOURS
from flows.integrations.prefect_api import PrefectApi
from instances.rules.flow_status import FlowStatus
from instances.world.facts import Edge
from prefect_optaic.stack import Target
from tests.flows.drawing.test_lineage_layout import flow_id, lay_out_flows, world_of
from tests.instances.sample_world import DAY

SVG = "{http://www.w3.org/2000/svg}"


def small(status: FlowStatus = FlowStatus.STALE) -> Graph:
    """Return the picture of a source and two flows that read it in other ways than a strict one."""
    tolerant, optional, strict = Edge(flow_id(0), max_age=DAY), Edge(flow_id(0), required=False), Edge(flow_id(1))
    world = dict(world_of({0: (), 1: (), 2: ()}))
    world[flow_id(1)] = replace(world[flow_id(1)], edges=(tolerant,))
    world[flow_id(2)] = replace(world[flow_id(2)], edges=(optional, strict))
    return lay_out(world, dict.fromkeys(world, FlowStatus.READY) | {flow_id(2): status})


def test_an_svg_names_every_flow_its_status_and_the_kinds_of_edges() -> None:
    root = ElementTree.fromstring(to_svg(small()))
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert words == [
        "READY (2)", "STALE (1)", "strict edge", "tolerant edge", "optional edge",
        "i0.refresh", "READY", "i1.refresh", "READY", "i2.refresh", "STALE",
    ]  # fmt: skip
    dashes = [path.get("stroke-dasharray") for path in root.iter(f"{SVG}path") if "C" in (path.get("d") or "")]
    assert sorted(dashes, key=str) == ["2 4", "7 4", None]


def test_the_boxes_of_an_instance_with_several_flows_say_its_status_too() -> None:
    world = dict(world_of({0: (), 1: (), 2: ()}))
    world[flow_id(1)] = replace(world[flow_id(1)], instance="i0", kind=FlowKind.TRAIN)
    statuses = {flow_id(0): FlowStatus.READY, flow_id(1): FlowStatus.STALE, flow_id(2): FlowStatus.ERROR}
    graph = lay_out(world, statuses, {"i0": FlowStatus.STALE, "i2": FlowStatus.ERROR})
    words = {element.text for element in ElementTree.fromstring(to_svg(graph)).iter(f"{SVG}text")}
    assert {"READY, the instance STALE", "STALE, the instance STALE", "ERROR"} <= words
    assert graph.digest != lay_out(world, statuses, {"i0": FlowStatus.ERROR, "i2": FlowStatus.ERROR}).digest


def test_every_status_has_its_colours() -> None:
    world = world_of(dict.fromkeys(range(len(FlowStatus)), ()))
    graph = lay_out(world, dict(zip(world, FlowStatus, strict=True)))
    fills = {box.get("fill") for box in ElementTree.fromstring(to_svg(graph)).iter(f"{SVG}rect")}
    assert {colour.fill for colour in STATUS_COLOURS.values()} <= fills
    assert STATUS_COLOURS.keys() == set(FlowStatus)


def test_a_png_is_twice_as_sharp_unless_that_is_too_large() -> None:
    def size(png: bytes) -> tuple[int, int]:
        assert png.startswith(b"\x89PNG")
        return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")

    root = ElementTree.fromstring(to_svg(small()))
    assert size(to_png(small())) == (2 * int(root.get("width", 0)), 2 * int(root.get("height", 0)))
    assert max(size(to_png(lay_out_flows(dict.fromkeys(range(500), ()))))) < 17_000


def test_a_lineage_too_large_for_a_page_is_counted() -> None:
    text = to_markdown(lay_out_flows(dict.fromkeys(range(MOST_FLOWS + 1), ())))
    assert "| READY | 401 |" in text
    assert "`optaic graph --out lineage.svg`" in text
    assert "data:" not in text


def test_the_artifact_is_renewed_only_when_it_shows_something_new(stack: Target) -> None:
    async def main() -> None:
        async with get_client() as client, PrefectApi() as prefect:
            await save_lineage(prefect, small())
            (first,) = await artifacts(client)
            assert "data:image/svg+xml;base64," in str(first.data)
            assert not await save_lineage(prefect, small())
            assert [first.id] == [each.id for each in await artifacts(client)]
            assert await save_lineage(prefect, small(FlowStatus.ERROR))
            (second,) = await artifacts(client)
            assert second.id != first.id

    asyncio.run(flow(main)())  # as it is done in a flow: outside of one Prefect warns


async def artifacts(client: PrefectClient) -> list[Artifact]:
    return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[KEY])))
