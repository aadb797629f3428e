"""Holds an answer, as it came over the wire, against botocore's model of it.

botocore's parsers pass over what they do not know; this walk does not. It gives one line for each member that the model
does not have, each required member that is missing, and each scalar that is not what the model says.
"""

import base64
import binascii
import json
import re
from xml.etree import ElementTree

from botocore.parsers import create_parser
from botocore.utils import parse_timestamp

from support.server import ROOT

INTEGERS = {"integer": 31, "long": 63}

# Values that services answer with and models leave out: what the overlays of the shapes add.
ADDED = {
    name: shape["enum"]
    for overlay in (ROOT / "xtask" / "overlays").glob("*.json")
    for name, shape in json.loads(overlay.read_text()).get("shapes", {}).items()
    if "enum" in shape
}


def problems(operation, protocol, body):
    """What is wrong with the body of a successful answer."""
    found = []
    shape = operation.output_shape
    if protocol in ("json", "rest-json"):
        raw = json.loads(body) if body else {}
        if shape is not None:
            _walk_data(shape, raw, operation.name, found, timestamps=_is_number)
        elif raw:
            found.append(f"{operation.name}: has no output, and got {raw}")
    elif protocol == "smithy-rpc-v2-cbor":
        if body:
            parser = create_parser(protocol)
            raw = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
            if shape is not None:
                _walk_data(shape, raw, operation.name, found, timestamps=lambda value: hasattr(value, "tzinfo"))
        elif shape is not None:
            found.append(f"{operation.name}: an empty body")
    elif protocol == "rest-xml":
        _walk_rest_document(operation, body, found)
    else:
        _walk_document(operation, protocol, ElementTree.fromstring(body), found)
    return found


def _walk_rest_document(operation, body, found):
    """S3: a document of the members that are in no header, or of the one member that is the body."""
    shape = operation.output_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload is not None and shape.members[payload].type_name != "structure":
        return
    inside = {name: member for name, member in (shape.members if shape is not None else {}).items() if "location" not in member.serialization}
    if not inside:
        if body:
            found.append(f"{operation.name}: no member is in the body, and it got {body!r}")
        return
    root = ElementTree.fromstring(body)
    if payload is not None:
        inside = {payload: shape.members[payload]}
        expected = shape.members[payload].serialization.get("name", payload)
        if _tag(root)[0] != expected:
            found.append(f"the root is {_tag(root)[0]}, not {expected}")
        _walk_element(shape.members[payload], root, operation.name, found)
    elif len(inside) == 1 and _tag(root)[0] in inside:
        _walk_element(inside[_tag(root)[0]], root, operation.name, found) if root.text else None
    else:
        _walk_elements(shape, list(root), operation.name, found)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _walk_data(shape, value, path, found, timestamps):
    """JSON and CBOR: values have types of their own."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            found.append(f"{path}: {value!r} is no structure")
            return
        members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        _required(shape, value.keys(), path, found)
        for name, inner in value.items():
            if name not in members:
                found.append(f"{path}.{name}: the model has no such member")
            else:
                _walk_data(members[name], inner, f"{path}.{name}", found, timestamps)
    elif kind == "list":
        if not isinstance(value, list):
            found.append(f"{path}: {value!r} is no list")
            return
        for index, inner in enumerate(value):
            _walk_data(shape.member, inner, f"{path}[{index}]", found, timestamps)
    elif kind == "map":
        if not isinstance(value, dict):
            found.append(f"{path}: {value!r} is no map")
            return
        for name, inner in value.items():
            _walk_data(shape.value, inner, f"{path}.{name}", found, timestamps)
    else:
        fits = {
            "string": lambda: isinstance(value, str) and _in_enum(shape, value),
            "character": lambda: isinstance(value, str),
            "boolean": lambda: isinstance(value, bool),
            "integer": lambda: _integer(value, 31),
            "long": lambda: _integer(value, 63),
            "float": lambda: _is_number(value),
            "double": lambda: _is_number(value),
            "timestamp": lambda: timestamps(value),
            "blob": lambda: isinstance(value, (str, bytes)),
        }[kind]
        if not fits():
            found.append(f"{path}: {value!r} is no {kind}{_choices(shape)}")


def _integer(value, bits):
    return isinstance(value, int) and not isinstance(value, bool) and -(2**bits) <= value < 2**bits


def _in_enum(shape, value):
    return not getattr(shape, "enum", None) or value in shape.enum or value in ADDED.get(shape.name, ())


def _choices(shape):
    return f" of {shape.enum}" if getattr(shape, "enum", None) else ""


def _required(shape, present, path, found):
    for name in shape.required_members:
        if shape.members[name].serialization.get("xmlAttribute"):
            continue
        if shape.members[name].serialization.get("name", name) not in present:
            found.append(f"{path}.{name}: is required and missing")


def _walk_document(operation, protocol, root, found):
    """Query and EC2: XML."""
    namespace = operation.service_model.metadata.get("xmlNamespace")
    tag, space = _tag(root)
    if tag != f"{operation.name}Response":
        found.append(f"the root is {tag}")
    # EC2's answers end theirs with a slash that botocore's model leaves out.
    if namespace and space.rstrip("/") != namespace.rstrip("/"):
        found.append(f"the namespace is {space!r}, not {namespace!r}")
    children = list(root)
    if protocol == "ec2":
        ids = [child for child in children if _tag(child)[0] == "requestId"]
        if len(ids) != 1:
            found.append("one requestId belongs into the answer")
        children = [child for child in children if child not in ids]
    else:
        metadata = [child for child in children if _tag(child)[0] == "ResponseMetadata"]
        if len(metadata) != 1 or [_tag(child)[0] for child in metadata[0]] != ["RequestId"]:
            found.append("one ResponseMetadata with one RequestId belongs into the answer")
        children = [child for child in children if child not in metadata]
    shape = operation.output_shape
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    if wrapper:
        if [_tag(child)[0] for child in children] != [wrapper]:
            found.append(f"expected {wrapper}, got {[_tag(child)[0] for child in children]}")
            return
        children = list(children[0])
    if shape is None:
        found.extend(f"{_tag(child)[0]}: the operation has no output" for child in children)
    else:
        _walk_elements(shape, children, operation.name, found)


def _tag(element):
    space, brace, tag = element.tag.rpartition("}")
    return tag, space.removeprefix("{") if brace else ""


def _walk_elements(shape, children, path, found):
    """The children of a structure's element."""
    members = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        if member.type_name == "list" and member.serialization.get("flattened"):
            wire = member.member.serialization.get("name", wire)
        members[wire] = member
    seen = {}
    for child in children:
        seen.setdefault(_tag(child)[0], []).append(child)
    _required(shape, seen.keys(), path, found)
    for tag, elements in seen.items():
        member = members.get(tag)
        if member is None:
            found.append(f"{path}.{tag}: the model has no such member")
            continue
        flattened = member.serialization.get("flattened")
        if len(elements) > 1 and not flattened:
            found.append(f"{path}.{tag}: stands there {len(elements)} times")
        for element in elements:
            if flattened and member.type_name == "list":
                _walk_element(member.member, element, f"{path}.{tag}", found)
            else:
                _walk_element(member, element, f"{path}.{tag}", found)


def _walk_element(shape, element, path, found):
    kind = shape.type_name
    text = element.text or ""
    if kind in ("structure", "list", "map") and text.strip():
        found.append(f"{path}: {text!r} stands between elements")
    if kind == "structure":
        _walk_elements(shape, list(element), path, found)
    elif kind == "list":
        name = shape.member.serialization.get("name", "member")
        for index, child in enumerate(element):
            if _tag(child)[0] != name:
                found.append(f"{path}[{index}]: is a {_tag(child)[0]}, not a {name}")
            _walk_element(shape.member, child, f"{path}[{index}]", found)
    elif kind == "map":
        key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        for index, entry in enumerate(element):
            if [_tag(child)[0] for child in entry] != [key, value]:
                found.append(f"{path}[{index}]: is no {key} and {value}")
    else:
        if len(element):
            found.append(f"{path}: a {kind} with elements in it")
        if not _fits_text(shape, kind, text):
            found.append(f"{path}: {text!r} is no {kind}{_choices(shape)}")


def _fits_text(shape, kind, text):
    if kind == "string":
        return _in_enum(shape, text)
    if kind == "boolean":
        return text in ("true", "false")
    if kind in INTEGERS:
        return re.fullmatch(r"-?\d+", text) is not None and _integer(int(text), INTEGERS[kind])
    if kind in ("float", "double"):
        return re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text) is not None
    if kind == "timestamp":
        try:
            return parse_timestamp(text) is not None and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", text) is not None
        except ValueError:
            return False
    if kind == "blob":
        try:
            return base64.b64decode(text, validate=True) is not None
        except binascii.Error:
            return False
    return True
