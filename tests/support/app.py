"""A service with a Prometheus page. What it serves follows the symbolic link `current` in the
directory that it is given, as a real release does: v2 answers every fourth request with status 500.

While there is a file `hang`, the page does not answer. What a file `path` holds is a label's value.
The port goes to standard output. Exit status 77: prometheus_client is not installed.
"""

import os
import sys
import threading
import time

try:
    from prometheus_client import REGISTRY, Counter, start_http_server
    from prometheus_client.core import GaugeMetricFamily
except ImportError:
    sys.exit(77)

HOME = sys.argv[1]
REQUESTS = Counter("http_requests", "Requests.", ["status", "path"])


def at(name):
    return os.path.join(HOME, name)


class Hang:
    """Keeps a scrape waiting for as long as the file is there."""

    def collect(self):
        while os.path.exists(at("hang")):
            time.sleep(0.01)
        return []


class Build:
    """Tells the release as services do."""

    def collect(self):
        family = GaugeMetricFamily("app_build_info", "The release.", labels=["job", "version"])
        family.add_metric(["api", release()], 1)
        return [family]


def path():
    try:
        with open(at("path"), newline="") as file:
            return file.read()
    except FileNotFoundError:
        return "/"


def release():
    try:
        return os.readlink(at("current"))
    except FileNotFoundError:
        return ""


def main():
    REGISTRY.register(Hang())
    REGISTRY.register(Build())
    server, _ = start_http_server(0, addr="127.0.0.1")
    print(server.server_port, flush=True)
    # It does not outlive the test: its standard input ends with it.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        bad = 5 if release().endswith("v2") else 0
        REQUESTS.labels("200", path()).inc(20 - bad)
        if bad:
            REQUESTS.labels("500", path()).inc(bad)
        time.sleep(0.02)


main()
