"""A service for tests: notes when it began and when it listened, answers HTTP, or does not, as its environment says.

TINY_PORT, TINY_NOTES (a file for its notes); optional: TINY_DELAY seconds before it listens, TINY_EXIT to say a few
lines and end with that code, TINY_CHILDREN=1 to start a child in a session of its own.
"""

import http.server
import json
import os
import subprocess
import sys
import time
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


def main() -> None:
    notes = {"began": time.time(), "pid": os.getpid(), "environment": dict(os.environ)}
    print("a tiny service begins", flush=True)
    if code := os.environ.get("TINY_EXIT"):
        print("the flux capacitor is missing", flush=True)
        sys.exit(int(code))
    if os.environ.get("TINY_CHILDREN"):
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        notes["child"] = subprocess.Popen(sleep, start_new_session=True).pid
    time.sleep(float(os.environ.get("TINY_DELAY", "0")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["TINY_PORT"])), Handler)
    notes["listened"] = time.time()
    file = Path(os.environ["TINY_NOTES"])
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(notes))
    draft.replace(file)
    server.serve_forever()


main()
