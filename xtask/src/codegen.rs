//! From service models (botocore's `service-2.json`) to `crates/shapes/src/SERVICE.rs`.
//!
//! Only names, types and constraints are taken; the models' prose is not. Input and output shapes are named after their
//! operation (`SetDesiredCapacityRequest`), because some services share one input shape between operations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value as Json;

/// Enums with more values than this stay text: nobody matches on 1,200 instance types.
const ENUM_VALUES_MAX: usize = 90;

pub(crate) fn run(models: &Path) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = root.join("xtask/operations.txt");
    let list = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let mut summary = String::new();
    for (service, version, operations) in read_list(&list)? {
        let path = models.join(&service).join(&version).join("service-2.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            format!(
                "{}: {e}; unpack the pinned botocore's data folder and its .gz files there",
                path.display()
            )
        })?;
        let mut model: Json = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let overlay = root.join("xtask/overlays").join(format!("{service}.json"));
        if let Ok(text) = std::fs::read_to_string(&overlay) {
            let json = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", overlay.display()))?;
            lay_over(&mut model, json);
        }
        let code = Generator::new(&service, &model).generate(&operations)?;
        let out = root.join("crates/shapes/src").join(format!("{}.rs", service.replace('-', "_")));
        let changed = write_if_changed(&out, &code)?;
        let lines = if changed { format!("{} lines", code.lines().count()) } else { "unchanged".to_owned() };
        let _ = writeln!(summary, "{service}: {} operations, {lines}", operations.len());
    }
    Ok(summary)
}

/// A file that is right already keeps its time, or everything above it would be built anew. Says whether it was not.
pub(crate) fn write_if_changed(path: &Path, code: &str) -> Result<bool, String> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == code) {
        return Ok(false);
    }
    std::fs::write(path, code).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(true)
}

/// A bound as an expression; bounds of floats lose their fraction.
pub(crate) fn limit(json: &Json) -> String {
    let number = json.as_i64().or_else(|| json.as_f64().map(|f| f as i64));
    number.map_or_else(|| "None".to_owned(), |n| format!("Some({n})"))
}

/// Adds what a model does not say. SQS was a query service and still answers as one, but its model speaks of JSON only: the
/// names of the query protocol and its error codes (SQS API reference) stand in `overlays/sqs.json`. EC2 answers with a state
/// of internet gateways' attachments that its model lacks, and with states of VPC endpoints in small letters (observed).
fn lay_over(model: &mut Json, overlay: Json) {
    match (model, overlay) {
        (Json::Object(model), Json::Object(overlay)) => {
            for (key, value) in overlay {
                lay_over(model.entry(key).or_insert(Json::Null), value);
            }
        }
        (model, overlay) => *model = overlay,
    }
}

/// Name, version and operations of each service in `operations.txt`.
fn read_list(text: &str) -> Result<Vec<(String, String, BTreeSet<String>)>, String> {
    let mut services: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [service, version] if version.starts_with("20") => {
                services.push((service.to_owned(), version.to_owned(), BTreeSet::new()));
            }
            _ => {
                let (_, _, operations) =
                    services.last_mut().ok_or("operations.txt: operations before any service")?;
                operations.extend(words.iter().map(|word| (*word).to_owned()));
            }
        }
    }
    Ok(services)
}

struct Generator<'a> {
    service: &'a str,
    model: &'a Json,
    /// Rust name of each model shape that is reached, and whether it is a top-level shape renamed after its operation.
    reached: BTreeMap<String, String>,
}

impl<'a> Generator<'a> {
    fn new(service: &'a str, model: &'a Json) -> Self {
        Self { service, model, reached: BTreeMap::new() }
    }

    fn shape(&self, name: &str) -> &'a Json {
        &self.model["shapes"][name]
    }

    fn generate(mut self, operations: &BTreeSet<String>) -> Result<String, String> {
        let mut tops: Vec<(String, Option<String>)> = Vec::new();
        let mut errors: BTreeSet<String> = BTreeSet::new();
        for name in operations {
            let operation = &self.model["operations"][name.as_str()];
            if operation.is_null() {
                return Err(format!("{}: the model has no operation {name}", self.service));
            }
            for (key, suffix) in [("input", "Request"), ("output", "Response")] {
                let shape = operation[key]["shape"].as_str();
                tops.push((format!("{name}{suffix}"), shape.map(str::to_owned)));
                if let Some(shape) = shape {
                    self.reach_members(shape);
                }
            }
            for error in operation["errors"].as_array().into_iter().flatten() {
                errors.extend(error["shape"].as_str().map(str::to_owned));
            }
        }

        let mut records = String::new();
        let mut choices = String::new();
        let mut schemas = String::new();
        for (top, shape) in &tops {
            self.record(&mut records, &mut schemas, top, shape.as_deref());
        }
        let reached = self.reached.clone();
        for (shape, rust) in &reached {
            let kind = self.shape(shape)["type"].as_str().unwrap_or_default();
            if kind == "structure" {
                self.record(&mut records, &mut schemas, rust, Some(shape));
            } else {
                self.schema(&mut schemas, shape, rust);
                if self.is_choice(shape) {
                    self.choice(&mut choices, shape, rust);
                }
            }
        }

        let mut out = String::from(
            "//! Generated by `cargo xtask codegen` from the public service model. Do not edit.\n\n",
        );
        out.push_str("#![allow(clippy::large_enum_variant)]\n\n");
        out.push_str("#[allow(unused_imports)]\nuse crate::macros::{choice, operations, record};\n");
        out.push_str("#[allow(unused_imports)]\nuse crate::{Blob, ErrorShape, Kind, Member, Operation, Protocol, Schema, Service, TimeFormat};\n");
        out.push_str("#[allow(unused_imports)]\nuse std::collections::BTreeMap;\n#[allow(unused_imports)]\nuse capstan_model::Time;\n\n");
        self.service_static(&mut out, operations)?;
        let _ = writeln!(out, "operations! {{ {} {{", camel(self.service));
        for (index, name) in operations.iter().enumerate() {
            let _ = writeln!(
                out,
                "{index} {name} {name}Request {name}Response {},",
                screaming(&format!("{name}Request"))
            );
        }
        out.push_str("} }\n\n");
        let _ = writeln!(out, "record! {{\n{records}}}\n");
        if !choices.is_empty() {
            let _ = writeln!(out, "choice! {{\n{choices}}}\n");
        }
        out.push_str(&schemas);
        for error in &errors {
            let shape = self.shape(error);
            let code = shape["error"]["code"].as_str().unwrap_or(error);
            let fault = shape["fault"].as_bool() == Some(true);
            let status = shape["error"]["httpStatusCode"].as_u64().unwrap_or(if fault { 500 } else { 400 });
            let _ = writeln!(
                out,
                "pub static {}: ErrorShape = ErrorShape {{ name: {error:?}, code: {code:?}, status: {status} }};",
                screaming(error)
            );
        }
        Ok(out)
    }

    /// Marks the shapes that the members of a structure lead to.
    fn reach_members(&mut self, shape: &str) {
        let members = self.shape(shape)["members"].as_object();
        for member in members.into_iter().flat_map(serde_json::Map::values) {
            self.reach(member["shape"].as_str().unwrap_or_default());
        }
    }

    fn reach(&mut self, name: &str) {
        if self.reached.contains_key(name) {
            return;
        }
        self.reached.insert(name.to_owned(), self.rust_name(name));
        let shape = self.shape(name);
        match shape["type"].as_str().unwrap_or_default() {
            "structure" => self.reach_members(name),
            "list" => self.reach(shape["member"]["shape"].as_str().unwrap_or_default()),
            "map" => {
                self.reach(shape["key"]["shape"].as_str().unwrap_or_default());
                self.reach(shape["value"]["shape"].as_str().unwrap_or_default());
            }
            _ => {}
        }
    }

    /// A model name as a Rust type, kept apart from the names that the generated file uses itself.
    fn rust_name(&self, name: &str) -> String {
        let rust = camel(name);
        let taken = [
            "Request",
            "Response",
            "Schema",
            "Service",
            "Operation",
            "Member",
            "Kind",
            "Blob",
            "Time",
            "String",
            "Protocol",
            "Box",
            "Vec",
            "Option",
        ];
        let structure = self.shape(name)["type"] == "structure";
        let is_operation_shape = ["Request", "Response"].iter().any(|suffix| {
            rust.strip_suffix(suffix).is_some_and(|stem| !self.model["operations"][stem].is_null())
        });
        if taken.contains(&rust.as_str()) || is_operation_shape {
            format!("{rust}{}", if structure { "Data" } else { "Shape" })
        } else {
            rust
        }
    }

    fn is_choice(&self, shape: &str) -> bool {
        let shape = self.shape(shape);
        let values = shape["enum"].as_array().map_or(0, Vec::len);
        shape["type"] == "string" && values > 0 && values <= ENUM_VALUES_MAX
    }

    fn rust_type(&self, name: &str) -> String {
        let shape = self.shape(name);
        let inner = |key: &str| self.rust_type(shape[key]["shape"].as_str().unwrap_or_default());
        match shape["type"].as_str().unwrap_or_default() {
            "structure" => self.reached[name].clone(),
            "list" => format!("Vec<{}>", inner("member")),
            "map" => format!("BTreeMap<String, {}>", inner("value")),
            "integer" => "i32".to_owned(),
            "long" => "i64".to_owned(),
            "double" | "float" => "f64".to_owned(),
            "boolean" => "bool".to_owned(),
            "timestamp" => "Time".to_owned(),
            "blob" => "Blob".to_owned(),
            _ if self.is_choice(name) => self.reached[name].clone(),
            _ => "String".to_owned(),
        }
    }

    /// Whether `from` leads back to `to` without a list or map between: such a member needs a `Box`.
    fn leads_to(&self, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
        if from == to {
            return true;
        }
        if self.shape(from)["type"] != "structure" || !seen.insert(from.to_owned()) {
            return false;
        }
        let members = self.shape(from)["members"].as_object();
        members
            .into_iter()
            .flat_map(serde_json::Map::values)
            .any(|member| self.leads_to(member["shape"].as_str().unwrap_or_default(), to, seen))
    }

    fn record(&self, records: &mut String, schemas: &mut String, rust: &str, shape: Option<&str>) {
        let json = shape.map_or(&Json::Null, |shape| self.shape(shape));
        let empty = serde_json::Map::new();
        let members = json["members"].as_object().unwrap_or(&empty);
        let required: BTreeSet<&str> =
            json["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let _ = writeln!(records, "{rust} {{");
        let _ = writeln!(
            schemas,
            "pub static {}: Schema = Schema {{ name: {:?}, kind: Kind::Record {{ members: &[",
            screaming(rust),
            shape.unwrap_or(rust)
        );
        for (name, member) in members {
            let target = member["shape"].as_str().unwrap_or_default();
            let mut rust_type = self.rust_type(target);
            if shape.is_some_and(|shape| self.leads_to(target, shape, &mut BTreeSet::new())) {
                rust_type = format!("Box<{rust_type}>");
            }
            let needed = required.contains(name.as_str());
            if !needed {
                rust_type = format!("Option<{rust_type}>");
            }
            let _ = writeln!(records, "    {}: {rust_type},", field(name));
            let wire = member["locationName"].as_str().unwrap_or(name);
            let ec2 = member["queryName"].as_str().map_or_else(|| upper_initial(wire), str::to_owned);
            let _ = writeln!(
                schemas,
                "    Member {{ name: {name:?}, wire: {wire:?}, ec2: {ec2:?}, required: {needed}, schema: &{} }},",
                screaming(&self.reached[target])
            );
        }
        records.push_str("}\n");
        schemas.push_str("] } };\n");
    }

    fn schema(&self, out: &mut String, name: &str, rust: &str) {
        let shape = self.shape(name);
        let (min, max) = (limit(&shape["min"]), limit(&shape["max"]));
        let flat = shape["flattened"].as_bool() == Some(true);
        let target = |key: &str| screaming(&self.reached[shape[key]["shape"].as_str().unwrap_or_default()]);
        let location =
            |key: &str, default: &str| shape[key]["locationName"].as_str().unwrap_or(default).to_owned();
        let kind = match shape["type"].as_str().unwrap_or_default() {
            "list" => format!(
                "Kind::List {{ member: &{}, name: {:?}, flat: {flat}, min: {min}, max: {max} }}",
                target("member"),
                location("member", "member")
            ),
            "map" => format!(
                "Kind::Map {{ key: &{}, value: &{}, key_name: {:?}, value_name: {:?}, flat: {flat} }}",
                target("key"),
                target("value"),
                location("key", "key"),
                location("value", "value")
            ),
            size @ ("integer" | "long") => {
                let long = size == "long";
                format!("Kind::Int {{ long: {long}, min: {min}, max: {max} }}")
            }
            "double" | "float" => format!("Kind::Float {{ min: {min}, max: {max} }}"),
            "boolean" => "Kind::Bool".to_owned(),
            "blob" => format!("Kind::Blob {{ min: {min}, max: {max} }}"),
            "timestamp" => {
                let format = match shape["timestampFormat"].as_str() {
                    Some("iso8601") => "Iso8601",
                    Some("unixTimestamp") => "UnixTimestamp",
                    Some("rfc822") => "HttpDate",
                    _ => "Default",
                };
                format!("Kind::Time {{ format: TimeFormat::{format} }}")
            }
            _ => {
                let pattern =
                    shape["pattern"].as_str().filter(|pattern| readable(pattern)).unwrap_or_default();
                let values: Vec<&str> = if self.is_choice(name) {
                    shape["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).collect()
                } else {
                    Vec::new()
                };
                format!("Kind::Text {{ min: {min}, max: {max}, pattern: {pattern:?}, values: &{values:?} }}")
            }
        };
        let _ = writeln!(
            out,
            "pub static {}: Schema = Schema {{ name: {name:?}, kind: {kind} }};",
            screaming(rust)
        );
    }

    fn choice(&self, out: &mut String, name: &str, rust: &str) {
        let mut used = BTreeSet::new();
        let _ = write!(out, "{rust} {{ ");
        for value in self.shape(name)["enum"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            let mut variant = variant(value);
            while !used.insert(variant.clone()) {
                variant.push('_');
            }
            let _ = write!(out, "{variant} {value:?}, ");
        }
        out.push_str("}\n");
    }

    fn service_static(&self, out: &mut String, operations: &BTreeSet<String>) -> Result<(), String> {
        let metadata = &self.model["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        let listed = metadata["protocols"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let protocols: Vec<&str> = listed
            .map(|protocol| match protocol {
                "json" => "Protocol::AwsJson",
                "query" => "Protocol::AwsQuery",
                "ec2" => "Protocol::Ec2Query",
                "rest-json" => "Protocol::RestJson",
                "rest-xml" => "Protocol::RestXml",
                "smithy-rpc-v2-cbor" => "Protocol::RpcV2Cbor",
                other => panic!("{}: protocol {other} has no format yet", self.service),
            })
            .collect();
        let is_rest = protocols.iter().any(|name| name.starts_with("Protocol::Rest"));
        let signing =
            if text("signingName").is_empty() { text("endpointPrefix") } else { text("signingName") };
        let _ = writeln!(
            out,
            "pub static SERVICE: Service = Service {{ name: {:?}, endpoint: {:?}, signing: {signing:?}, version: {:?}, target: {:?}, json_version: {:?}, xmlns: {:?}, protocols: &[{}], operations: OPERATIONS, rest: {}, absent: ABSENT }};\n",
            self.service,
            text("endpointPrefix"),
            text("apiVersion"),
            text("targetPrefix"),
            text("jsonVersion"),
            text("xmlNamespace"),
            protocols.join(", "),
            if is_rest { "REST" } else { "&[]" }
        );
        let all = self.model["operations"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let absent: Vec<&String> = all.filter(|name| !operations.contains(*name)).collect();
        let _ = writeln!(out, "static ABSENT: &[&str] = &{absent:?};\n");
        if is_rest {
            self.rest_static(out, operations, protocols.contains(&"Protocol::RestXml"))?;
        }
        out.push_str("static OPERATIONS: &[Operation] = &[\n");
        for name in operations {
            let operation = &self.model["operations"][name.as_str()];
            // A service that only answers older clients by query has lost its wrappers.
            let lost =
                !operation["output"].is_null() && !self.model["metadata"]["awsQueryCompatible"].is_null();
            let usual = if lost { format!("{name}Result") } else { String::new() };
            let wrapper = operation["output"]["resultWrapper"].as_str().unwrap_or(&usual);
            let errors: Vec<String> = operation["errors"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|error| error["shape"].as_str())
                .map(|error| format!("&{}", screaming(error)))
                .collect();
            let _ = writeln!(
                out,
                "Operation {{ name: {name:?}, input: &{}, output: &{}, result_wrapper: {wrapper:?}, errors: &[{}] }},",
                screaming(&format!("{name}Request")),
                screaming(&format!("{name}Response")),
                errors.join(", ")
            );
        }
        out.push_str("];\n\n");
        Ok(())
    }

    /// Methods, paths and the members outside the body. What no service of the list has is refused by name, or it would
    /// be read from the wrong place. Operations that are not on the list have their line too: without it their requests
    /// could be taken for others on the same path.
    fn rest_static(&self, out: &mut String, operations: &BTreeSet<String>, xml: bool) -> Result<(), String> {
        out.push_str(
            "#[allow(unused_imports)]\nuse crate::{Place, Requirement, Rest};\n\nstatic REST: &[Rest] = &[\n",
        );
        for (name, operation) in self.model["operations"].as_object().into_iter().flatten() {
            let absent = |what: &str| Err(format!("{}: {name} has {what}, which is not built", self.service));
            let input = self.shape(operation["input"]["shape"].as_str().unwrap_or_default());
            let output = self.shape(operation["output"]["shape"].as_str().unwrap_or_default());
            let uri = operation["http"]["requestUri"].as_str().unwrap_or("/");
            let (path, literals) = uri.split_once('?').unwrap_or((uri, ""));
            let mut requires: Vec<String> = Vec::new();
            for part in literals.split('&').filter(|part| !part.is_empty()) {
                let (key, text) = part.split_once('=').unwrap_or((part, ""));
                requires.push(requirement("Query", key, text, true));
            }
            let listed = operations.contains(name);
            let required: Vec<&str> =
                input["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
            let (mut bound, mut output_bound) = (Vec::new(), Vec::new());
            for (member, traits) in input["members"].as_object().into_iter().flatten() {
                let place = match traits["location"].as_str() {
                    None => continue,
                    Some("uri") => "Path",
                    Some("querystring") => "Query",
                    Some("header") => "Header",
                    Some("headers") => "Headers",
                    // The status line of the answer says it: handlers leave the member out.
                    Some("statusCode") => continue,
                    Some(other) => return absent(&format!("a member in {other}")),
                };
                bound.push(format!("({member:?}, Place::{place})"));
                if required.contains(&member.as_str()) && matches!(place, "Query" | "Header") {
                    let wire = traits["locationName"].as_str().unwrap_or(member);
                    requires.push(requirement(place, wire, "", false));
                }
            }
            for (member, traits) in output["members"].as_object().into_iter().flatten() {
                let place = match traits["location"].as_str() {
                    None => continue,
                    Some("header") => "Header",
                    Some("headers") => "Headers",
                    // The status line of the answer says it: handlers leave the member out.
                    Some("statusCode") => continue,
                    Some(other) if listed => return absent(&format!("an output member in {other}")),
                    Some(_) => continue,
                };
                output_bound.push(format!("({member:?}, Place::{place})"));
            }
            let payload = |shape: &Json| shape["payload"].as_str().unwrap_or_default().to_owned();
            let (mut body, mut output_body) = (payload(input), payload(output));
            if !listed {
                (body, output_body) = (String::new(), String::new());
                bound.clear();
                output_bound.clear();
            } else if !xml {
                self.only_plain_json(name, &[input, output], path)?;
                if !output_bound.is_empty() {
                    return absent("an output member outside the body");
                }
            }
            let _ = writeln!(
                out,
                "Rest {{ operation: {name:?}, method: {:?}, path: {path:?}, requires: &[{}], status: {}, bound: &[{}], payload: {body:?}, output: &[{}], output_payload: {output_body:?} }},",
                operation["http"]["method"].as_str().unwrap_or("POST"),
                requires.join(", "),
                operation["http"]["responseCode"].as_u64().unwrap_or(200),
                bound.join(", "),
                output_bound.join(", ")
            );
        }
        out.push_str("];\n\n");
        Ok(())
    }

    /// What the reader and writer of restJson1 do not know.
    fn only_plain_json(&self, name: &str, tops: &[&Json], path: &str) -> Result<(), String> {
        let absent = |what: &str| Err(format!("{}: {name} has {what}, which is not built", self.service));
        if path.contains("+}") {
            return absent("a path with a greedy label");
        }
        if tops.iter().any(|top| !top["payload"].is_null()) {
            return absent("a payload member");
        }
        let mut bodies = tops.iter().copied().chain(self.reached.keys().map(|shape| self.shape(shape)));
        // awsJson goes by the member's own name, and the same reader serves both.
        let renamed = |shape: &Json| {
            let mut members = shape["members"].as_object().into_iter().flatten();
            members.any(|(name, traits)| {
                let text = traits["locationName"].as_str();
                traits["location"].is_null() && text.is_some_and(|text| text != name)
            })
        };
        if bodies.any(renamed) {
            return absent("a member of another name in JSON");
        }
        Ok(())
    }
}

/// `literal`: part of the operation's own address, not a member that must be there.
fn requirement(place: &str, name: &str, text: &str, literal: bool) -> String {
    format!("Requirement {{ place: Place::{place}, name: {name:?}, text: {text:?}, literal: {literal} }}")
}

/// Patterns that hold nothing back (`.*`), or that need what our regex engine lacks (look-around, `\p`-classes of Java,
/// raw surrogate ranges), are left out.
pub(crate) fn readable(pattern: &str) -> bool {
    let empty = matches!(pattern, ".*" | "^.*$" | "[\\s\\S]*" | ".+");
    !empty
        && !pattern.contains("(?!")
        && !pattern.contains("(?=")
        && !pattern.contains("(?<!")
        && !pattern.contains("\\u")
        && !pattern.contains("\\p")
}

fn upper_initial(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn camel(name: &str) -> String {
    name.split(|c: char| !c.is_ascii_alphanumeric()).map(upper_initial).collect()
}

/// `EC2_AUTOSCALING` → `Ec2Autoscaling`, `capacity-optimized` → `CapacityOptimized`, `PutLifecycleHook` stays.
fn variant(value: &str) -> String {
    let mut out = String::new();
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if word.chars().any(|c| c.is_ascii_lowercase()) {
            out.push_str(&upper_initial(word));
        } else {
            out.push_str(&upper_initial(&word.to_lowercase()));
        }
    }
    match out.chars().next() {
        None => "Empty".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("N{out}"),
        Some(_) if out == "Self" => "Itself".to_owned(),
        Some(_) => out,
    }
}

fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if starts_word {
            out.push('_');
        }
        out.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    // `VPCs`, `ARNs`: the plural s is no word of its own.
    out.replace("_vp_cs", "_vpcs")
        .replace("_gi_b", "_gib")
        .replace("_mi_b", "_mib")
        .replace("_ar_ns", "_arns")
        .replace("_i_ds", "_ids")
}

fn field(name: &str) -> String {
    let name = snake(name);
    let keywords = [
        "type", "as", "self", "ref", "match", "in", "static", "move", "enum", "where", "use", "for", "loop",
        "return", "final", "override", "virtual", "do", "macro", "try", "yield", "abstract", "priv",
        "typeof", "unsized", "box", "become", "async", "await", "dyn", "mod", "let", "impl", "if", "else",
        "fn", "extern", "crate", "const", "continue", "break", "pub", "struct", "super", "trait", "true",
        "false", "unsafe", "while", "mut", "gen",
    ];
    if keywords.contains(&name.as_str()) { format!("r#{name}") } else { name }
}

pub(crate) fn screaming(name: &str) -> String {
    snake(name).to_uppercase()
}
