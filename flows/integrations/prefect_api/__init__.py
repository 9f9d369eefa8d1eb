"""The one door to Prefect's API, without Prefect, whose import alone takes longer than most questions to its server.

`endpoints` has all that we ask for there, make, change and delete. What runs inside Prefect, such as a flow that
keeps an artifact of its own run, uses Prefect itself.
"""

from flows.integrations.prefect_api.endpoints import PrefectApi
from flows.integrations.prefect_api.prefect_address import NoPrefectServer, PrefectAddress, UnreadableSetting
from flows.integrations.prefect_api.prefect_http import Json, NotInPrefect, PrefectError, PrefectRefusal, PrefectSilent
from flows.integrations.prefect_api.prefect_moments import moment_of, plain

__all__ = [
    "Json",
    "NoPrefectServer",
    "NotInPrefect",
    "PrefectAddress",
    "PrefectApi",
    "PrefectError",
    "PrefectRefusal",
    "PrefectSilent",
    "UnreadableSetting",
    "moment_of",
    "plain",
]
