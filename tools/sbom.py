"""Create a software bill of materials as CycloneDX JSON: the wheel's contents, requirements and build tools.

The build hook adds it to the wheel (`.dist-info/sboms/`, PEP 770). It does not depend on time or machine.
Standard library only.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NAME = "graphattend.cdx.json"


def _pypi(requirement: str, scope: str, **more: Any) -> dict[str, Any]:
    """Return the component of a requirement such as "numpy>=1.26"."""
    parts = re.fullmatch(r"([\w.-]+)(\[[^\]]*\])?\s*(.*)", requirement.partition(";")[0].strip())
    assert parts is not None, requirement
    name, version = re.sub(r"[-_.]+", "-", parts[1]).lower(), parts[3]
    exact = {"version": version[2:]} if version.startswith("==") else {}
    purl = f"pkg:pypi/{name}" + (f"@{exact['version']}" if exact else "")
    asked = [] if exact or not version else [{"name": "graphattend:requires", "value": version}]
    found = {"type": "library", "bom-ref": purl, "name": name, **exact, "purl": purl, "scope": scope, **more}
    return found | ({"properties": asked} if asked else {})


def _file(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "file",
        "bom-ref": path.name,
        "name": path.name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def wheel(
    name: str,
    version: str,
    licence: str,
    requires: Iterable[str],
    extras: Mapping[str, Iterable[str]],
    tools: Iterable[str],
    kernels: Iterable[Path],
) -> str:
    """Return the bill of materials of a wheel.

    Args:
        name: Name of the distribution.
        version: Version of the distribution.
        licence: SPDX expression.
        requires: Requirements.
        extras: Additional requirements by extra.
        tools: Build tools.
        kernels: Compiled files in the wheel.
    """
    root = f"pkg:pypi/{name}@{version}"
    needed = [_pypi(line, "required") for line in requires]
    optional = {}
    for line in (line for lines in extras.values() for line in lines if not line.startswith(f"{name}[")):
        component = _pypi(line, "optional")
        optional[component["bom-ref"]] = component
    components = [
        *needed,
        *(optional[ref] for ref in sorted(optional)),
        *(_pypi(line, "excluded", description="compiles or packs; not in the wheel") for line in tools),
        *(_file(path) for path in sorted(kernels, key=lambda path: path.name)),
    ]
    shipped = [c["bom-ref"] for c in components if c.get("scope") != "excluded"]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "library",
                "bom-ref": root,
                "name": name,
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": licence}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": sorted(shipped)}, *({"ref": ref} for ref in sorted(shipped))],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return (
        json.dumps(
            {
                "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
                "serialNumber": f"urn:uuid:{serial}",
                **document,
            },
            indent=1,
        )
        + "\n"
    )
