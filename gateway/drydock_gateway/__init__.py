"""LocalStack's gateway, with what its free edition lacks: authenticated callers, and an EMR behind it.

A request passes, in this order:

    server            binds the addresses it was told, and serves nothing unless the front door is in place
    front_door        Host, Origin and internal paths; then `authentication`; then EMR, which never reaches LocalStack
      authentication  who sent this? `sigv4` and `payload` check the request against a key of the `keyring`
      refusals        why not, in the error format of the service that was called
      emr             the raw request goes on to the control plane, with the caller's principal
      service_sessions  the control plane asks for a role's credentials; `trust` decides whether the service may
    LocalStack        S3, IAM, STS, EC2
"""
