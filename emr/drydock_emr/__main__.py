"""`drydock-emr`: the control plane, as one process. Configured by the environment variables in `config`."""

import logging
import sys

import uvicorn

from drydock_emr import app
from drydock_emr.config import Config
from drydock_emr.errors import ConfigurationError, DatabaseVersionError


def main() -> None:
    """Serve until SIGTERM. Exits with 2 and a sentence when it cannot be configured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = Config.from_environment()
        application = app.create(config)
    except (ConfigurationError, DatabaseVersionError) as error:
        print(f"drydock-emr: {error}", file=sys.stderr)
        sys.exit(2)
    uvicorn.run(
        application,
        host=config.host,
        port=config.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
