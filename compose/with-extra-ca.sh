#!/bin/sh
# Run a command that fetches things. Where the network inspects TLS, its authority comes as the build secret `extra_ca`
# (EXTRA_CA_FILE=/path/to/ca.pem make local-up), is trusted while the command runs, and stays out of the image.
set -eu
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
"$@"
if [ -n "${bundle:-}" ]; then rm -f "$bundle"; fi
