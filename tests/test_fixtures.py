"""The fixtures that other tests stand on."""

import asyncio

from sqlalchemy import Engine, make_url, text

from instances.storage.migrations import require_current
from prefect_optaic.stack import Target


def test_each_database_is_migrated_and_empty(database: Engine) -> None:
    with database.begin() as connection:
        require_current(connection)
        connection.execute(text("CREATE TABLE left_behind (id int)"))


def test_nothing_is_left_of_the_last_test(database: Engine) -> None:
    with database.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('left_behind')")).scalar() is None


def test_prefect_in_this_process_talks_to_the_stack(stack: Target) -> None:
    from prefect.client.orchestration import get_client

    from flows.integrations.platform_reader import read_platform
    from flows.integrations.prefect_api import PrefectApi
    from instances.specification.platform_settings import PlatformSettings

    async def platform_of_the_stack() -> PlatformSettings:
        async with PrefectApi() as prefect:
            return await read_platform(prefect)

    with get_client(sync_client=True) as client:
        assert str(client.api_url).rstrip("/") == stack.api_url
        assert client.read_work_pool("optaic").type == "process"
    platform = asyncio.run(platform_of_the_stack())
    assert make_url(platform.database_url) == make_url(stack.database_url or "")
    assert platform.data_root == str(stack.home.data)
