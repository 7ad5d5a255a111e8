#!/bin/bash
# Bootstrap action: install the jobs' Python packages for all users of a node. The same file locally and on AWS.
#
#   bootstrap.sh s3://bucket/spark_app/wheels
#
# The folder holds the wheels and requirements.txt, the jobs' lock. Nothing is taken from a package registry, and
# pip refuses a wheel whose hash is not in the lock.
set -euo pipefail

if [[ $# -ne 1 || "$1" != s3://* ]]; then
  echo "bootstrap.sh: expected one argument, the s3:// URI of the folder with the wheels; found: $*" >&2
  exit 2
fi
readonly wheels_uri="${1%/}"
readonly python=python3.11 # EMR 7's Python for Spark is named here, not the system's python3

log() { echo "$(date -u +%H:%M:%S) $*"; }

wheels="$(mktemp -d)"
readonly wheels
trap 'rm -rf "$wheels"' EXIT

log "Downloading $wheels_uri"
aws s3 cp --recursive --only-show-errors "$wheels_uri/" "$wheels/"
if [[ ! -f "$wheels/requirements.txt" ]]; then
  echo "bootstrap.sh: there is no $wheels_uri/requirements.txt; upload the wheels together with their lock." >&2
  exit 1
fi
log "Downloaded $(find "$wheels" -name '*.whl' | wc -l) wheels"

if ! "$python" -c "import pip" 2>/dev/null; then
  log "$python has no pip: installing the one that Python brings"
  sudo "$python" -m ensurepip
fi

log "Installing for all users"
sudo "$python" -m pip install --disable-pip-version-check --no-index --find-links "$wheels" --only-binary :all: \
  --no-compile --require-hashes --requirement "$wheels/requirements.txt"

# Only what the jobs import is compiled, a fraction of what the packages hold; and a package that cannot be imported
# fails here, not in the middle of a step.
log "Importing what the jobs import"
sudo "$python" -c "import boto3, faker, numpy, pyarrow.dataset, pyarrow.parquet"
log "Done"
