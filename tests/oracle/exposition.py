"""Reads metrics pages with the parsers of prometheus_client.

Input: for each page one byte (t: text, o: OpenMetrics), its length as four bytes big-endian, the
page. Output: for each page one line of JSON, {"samples": [...]} or {"error": "..."}.
"""

import json
import struct
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text


def exemplar(found):
    if found is None:
        return None
    when = None if found.timestamp is None else repr(float(found.timestamp))
    return [found.labels, repr(float(found.value)), when]


def row(sample):
    when = None if sample.timestamp is None else repr(float(sample.timestamp))
    value = repr(float(sample.value))
    return [sample.name, sample.labels, value, when, exemplar(sample.exemplar)]


def judge(kind, page):
    parse = text if kind == b"t" else openmetrics
    try:
        families = list(parse.text_string_to_metric_families(page.decode("utf-8")))
        return {"samples": [row(sample) for family in families for sample in family.samples]}
    except Exception as error:  # Whatever it raises, it does not accept the page.
        return {"error": "%s: %s" % (type(error).__name__, error)}


def main():
    source = sys.stdin.buffer
    while kind := source.read(1):
        (length,) = struct.unpack(">I", source.read(4))
        print(json.dumps(judge(kind, source.read(length))))


main()
