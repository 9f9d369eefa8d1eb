"""The embedded local stack: PostgreSQL, a Prefect server with its UI, and a worker.

Other commands need three names: `connect` finds the servers, `use` makes Prefect talk to them, `Target` describes
them. Importing this package does not import Prefect.
"""

from prefect_optaic.stack.errors import NoStack, ServiceDied, StackError
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.target import Target, connect, use

__all__ = ["Home", "NoStack", "ServiceDied", "StackError", "Target", "connect", "use"]
