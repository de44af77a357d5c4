"""Writes the rows of arity.cc from the operator schemas of the onnx wheel: python arity.py OUT."""

import sys

from onnx.defs import OpSchema, get_all_schemas_with_history

MANY = 2**31 - 1
Option = OpSchema.FormalParameterOption


def row(schema):
    options = [parameter.option for parameter in schema.inputs]
    required = next((i for i, option in enumerate(options) if option != Option.Single), len(options))
    variadic = next((i for i, option in enumerate(options) if option == Option.Variadic), MANY)
    counts = schema.min_input, min(schema.max_input, MANY), schema.min_output, min(schema.max_output, MANY)
    return required, variadic, *counts


rows = {}
for schema in get_all_schemas_with_history():
    if schema.domain in ("", "ai.onnx.ml"):
        rows[schema.domain, schema.name, schema.since_version] = row(schema)
with open(sys.argv[1], "w") as out:
    for (domain, name, since), numbers in sorted(rows.items()):
        out.write(f'{{"{domain}", "{name}", {since}, {", ".join(map(str, numbers))}}},\n')
