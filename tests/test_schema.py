"""The JSON schema of every mechanism agrees with its constructor."""

import json
import math

import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

KEYS = ga.list_mechanisms()
TYPES = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "array": (list, tuple), "null": type(None), "object": dict}  # fmt: skip


def types_of(p):
    return p["type"] if isinstance(p["type"], list) else [p["type"]]


@pytest.mark.parametrize("key", KEYS)
def test_document(key):
    schema = ga.schema(key)
    assert json.loads(json.dumps(schema, allow_nan=False))["title"] == key
    assert schema["type"] == "object"
    assert schema["required"] == ["dim"]
    assert schema["additionalProperties"] is False
    assert schema["x-key"] == key
    assert schema["x-family"] == mechanism_class(key).family
    assert schema["description"]
    for name, p in schema["properties"].items():
        assert p["description"].strip() == p["description"], name
        assert "\n" not in p["description"], name
        assert all(t in TYPES for t in types_of(p)), name


@pytest.mark.parametrize("key", KEYS)
def test_defaults_are_the_constructors(key):
    schema = ga.schema(key)
    attn = ga.create(key, 8)
    options = attn.to_config()["options"]
    assert set(options) == set(schema["properties"]) - {"dim"}
    filled = {name: p["default"] for name, p in schema["properties"].items() if "default" in p}
    assert set(filled) == set(options)
    assert ga.create(key, 8, **filled) == attn
    for name, p in schema["properties"].items():
        if name == "dim":
            continue
        assert isinstance(p["default"], tuple(t for n in types_of(p) for t in [TYPES[n]] if isinstance(t, type))
                          + (int, float) * ("number" in types_of(p)) + (list, tuple) * ("array" in types_of(p)))  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_bounds_are_the_constructors(key):
    for name, p in ga.schema(key)["properties"].items():
        if name == "dim" or "array" in types_of(p):
            continue
        whole = "integer" in types_of(p)
        step = 1 if whole else 1e-9
        for bound, inclusive, outside in (
            ("minimum", True, -1),
            ("maximum", True, 1),
            ("exclusiveMinimum", False, -1),
            ("exclusiveMaximum", False, 1),
        ):
            if bound not in p:
                continue
            edge = p[bound]
            inside = edge if inclusive else edge - outside * 0.5
            if not (name == "head_dim" and key == "dynamic_heads"):
                assert getattr(ga.create(key, 8, **{name: int(inside) if whole else inside}), name) == inside
            for bad in [edge + outside * step] + ([] if inclusive else [edge]):
                with pytest.raises(ga.InvalidConfigError, match=name):
                    ga.create(key, 8, **{name: int(bad) if whole else bad})
        for word in p.get("enum", ()):
            assert getattr(ga.create(key, 8, **{name: word}), name) == word
        assert "nullable" not in p


def test_all_at_once():
    everything = ga.schema()
    assert list(everything) == KEYS
    assert everything["flash"] == ga.schema("flash")
    with pytest.raises(ga.InvalidConfigError, match="did you mean 'flash'"):
        ga.schema("flas")
    assert not any(
        isinstance(v, float) and math.isinf(v)
        for s in everything.values()
        for p in s["properties"].values()
        for v in p.values()
    )
