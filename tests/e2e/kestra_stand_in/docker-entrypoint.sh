#!/bin/sh
# `server standalone`, of the engine, which has a configuration and a database of its own.
unset MICRONAUT_CONFIG_FILES
export ENGINE_DATA=/var/lib/drydock ENGINE_HOST=0.0.0.0 ENGINE_PORT=8080
export ENGINE_USERNAME="$DRYDOCK_KESTRA_USERNAME" ENGINE_PASSWORD_FILE="$DRYDOCK_KESTRA_PASSWORD_FILE"
export AWS_EC2_METADATA_DISABLED=true # whatever machine this is, its role is not for the flows' schedules
exec /opt/drydock/engine/start
