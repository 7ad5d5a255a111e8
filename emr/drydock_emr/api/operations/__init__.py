"""EMR's operations, as far as they are built: one function each, named as in the model, in modules by subject.

Each takes the service, the caller and the checked input, and answers the output of EMR's model.
"""

from collections.abc import Mapping

from drydock_emr.api.operations import catalogue, clusters, instances, policies, security_configurations, steps
from drydock_emr.api.operations.service import Handler

BUILT: Mapping[str, Handler] = {
    **clusters.OPERATIONS,
    **steps.OPERATIONS,
    **instances.OPERATIONS,
    **policies.OPERATIONS,
    **security_configurations.OPERATIONS,
    **catalogue.OPERATIONS,
}
"""By the name of the model's operation."""
