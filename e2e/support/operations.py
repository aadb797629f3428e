"""The operations that Capstan holds: the project's own list, read against botocore's models."""

import json
import re

import botocore.exceptions
import botocore.session

from support.server import ROOT

_SESSION = botocore.session.get_session()


def listed():
    """(service, operation) for each line of xtask/operations.txt."""
    found, service = [], None
    for line in (ROOT / "xtask" / "operations.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and re.fullmatch(r"\d{4}-\d\d-\d\d", words[1]):
            service = words[0]
        else:
            found.extend((service, word) for word in words)
    return found


def model(service):
    return _SESSION.get_service_model(service)


def operation(service, name):
    return model(service).operation_model(name)


def method(name):
    """boto3's method of an operation: DescribeClusters → describe_clusters."""
    return botocore.xform_name(name)


def errors(service, name):
    """The modelled errors of an operation: code → HTTP status."""
    found = {}
    overlay = ROOT / "xtask" / "overlays" / f"{service}.json"
    older = json.loads(overlay.read_text()).get("shapes", {}) if overlay.exists() else {}
    for shape in operation(service, name).error_shapes:
        error = older.get(shape.name, {}).get("error") or shape.metadata.get("error") or {}
        found[error.get("code", shape.name)] = error.get("httpStatusCode", 400)
    return found


def paginators():
    """The listed operations that botocore has paginators for."""
    found = []
    for service, name in listed():
        try:
            _SESSION.get_paginator_model(service).get_paginator(name)
        except (ValueError, botocore.exceptions.UnknownServiceError, botocore.exceptions.DataNotFoundError):
            continue
        found.append((service, name))
    return found
