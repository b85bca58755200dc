"""Validates TOML texts against JSON schemas. Each line of the input is a JSON object with `schema`
(the schema) and `texts`; each line of the output is a list with one answer for each text: what is
wrong with it, or null."""

import json
import sys
import tomllib

import jsonschema


def answer(validator, text):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return f"not TOML: {error}"
    errors = [f"{list(error.absolute_path)}: {error.message}"[:200]
              for error in validator.iter_errors(document)]
    return "; ".join(errors) or None


for line in sys.stdin:
    request = json.loads(line)
    jsonschema.Draft7Validator.check_schema(request["schema"])
    validator = jsonschema.Draft7Validator(request["schema"])
    print(json.dumps([answer(validator, text) for text in request["texts"]]), flush=True)
