"""`drydock-emr`: the control plane, as one process. Configured by the environment variables in `config`."""

import logging
import sys

import uvicorn

from drydock_emr import app
from drydock_emr.config import Config
from drydock_emr.errors import ConfigurationError, DatabaseUnavailable, DatabaseVersionError


def main() -> None:
    """Serve until SIGTERM.

    Exits with a sentence, and 2 when it cannot be configured, 1 when its database is not there: then whoever
    supervises it may start it again.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = Config.from_environment()
        application = app.create(config)
    except (ConfigurationError, DatabaseVersionError) as error:
        print(f"drydock-emr: {error}", file=sys.stderr)
        sys.exit(2)
    except DatabaseUnavailable as error:
        print(f"drydock-emr: {error}", file=sys.stderr)
        sys.exit(1)
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
