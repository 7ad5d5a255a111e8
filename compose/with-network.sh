#!/bin/sh
# Run a command that fetches things, with the network settings of whoever builds. They come as build secrets, so that none
# stays in the image: `mirrors` are variables, a line each (mirrors' URLs may hold a password); `extra_ca` is the
# authority of a network that inspects TLS (EXTRA_CA_FILE=/path/to/ca.pem make local-up), trusted while the command runs.
set -eu
if [ -s /run/secrets/mirrors ]; then
  while IFS= read -r line || [ -n "$line" ]; do export "$line"; done < /run/secrets/mirrors
fi
extra=/run/secrets/extra_ca
if [ -s "$extra" ]; then
  bundle=$(mktemp)
  python3 -c 'import ssl; print(ssl.get_default_verify_paths().cafile or "")' | while read -r file; do
    if [ -n "$file" ]; then cat "$file" >> "$bundle"; fi
  done
  if [ -s /etc/ssl/certs/ca-certificates.crt ]; then cat /etc/ssl/certs/ca-certificates.crt >> "$bundle"; fi
  cat "$extra" >> "$bundle"
  export SSL_CERT_FILE="$bundle" REQUESTS_CA_BUNDLE="$bundle" PIP_CERT="$bundle" CURL_CA_BUNDLE="$bundle"
fi
status=0
"$@" || status=$?
if [ -n "${bundle:-}" ]; then rm -f "$bundle"; fi
exit "$status"
