"""`drydock-node`: the instance controller of one node, until SIGTERM or SIGINT.

It is configured by the environment variables that `config` lists.

Exit code 0 after SIGTERM or SIGINT, 2 when a variable or a port is not usable, 1 after an error of the node's own.
"""

import asyncio
import logging
import signal
import sys

from drydock_emr.node.config import Config
from drydock_emr.node.errors import ConfigurationError
from drydock_emr.node.instance_controller import InstanceController


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(_run(Config.from_environment()))
    except ConfigurationError as error:
        print(f"drydock-node: {error}", file=sys.stderr)
        sys.exit(2)


async def _run(config: Config) -> None:
    controller = InstanceController(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, controller.stop)
    logging.getLogger(__name__).info(
        "Node %s at %s:%d, page %s, scratch %s",
        config.name,
        config.host,
        config.rpc_port,
        config.ui_url,
        config.scratch,
    )
    await controller.run()


if __name__ == "__main__":
    main()
