//! Descriptions of shapes, operations and services, as the service models give them.

/// A service: what is common to its operations.
#[derive(Debug)]
pub struct Service {
    /// botocore's folder name: `ecs`, `elbv2`.
    pub name: &'static str,
    /// Name in the credential scope and host: `ecs`, `elasticloadbalancing`, `monitoring`.
    pub endpoint: &'static str,
    pub signing: &'static str,
    /// `2014-11-13`
    pub version: &'static str,
    /// What stands before the dot in `X-Amz-Target`; empty for services that are not spoken to in JSON.
    pub target: &'static str,
    /// `1.0`, `1.1` or empty.
    pub json_version: &'static str,
    pub xmlns: &'static str,
    pub protocols: &'static [Protocol],
    /// Sorted by name.
    pub operations: &'static [Operation],
    /// Method and path of each operation of the model, sorted by name; empty unless the service is spoken to in REST.
    pub rest: &'static [Rest],
    /// Operations of the model that have no shapes here, sorted.
    pub absent: &'static [&'static str],
}

impl Service {
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        let at = self.operations.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        Some(&self.operations[at])
    }

    /// Method and path of that operation; `None` where REST is not spoken.
    pub fn rest(&self, operation: &str) -> Option<&'static Rest> {
        let at = self.rest.binary_search_by(|rest| rest.operation.cmp(operation)).ok()?;
        Some(&self.rest[at])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    AwsJson,
    AwsQuery,
    Ec2Query,
    RestJson,
    RestXml,
    RpcV2Cbor,
}

/// How an operation travels over HTTP in a REST protocol.
#[derive(Debug)]
pub struct Rest {
    pub operation: &'static str,
    /// `GET`, `PATCH` …
    pub method: &'static str,
    /// `/experiments/{id}`: a part in braces is the text of the input member with that wire name; `{Key+}` is the rest of
    /// the path.
    pub path: &'static str,
    /// What tells the operation from others with the same method and path.
    pub requires: &'static [Requirement],
    /// Of an answer that is no error.
    pub status: u16,
    /// The input's members that do not travel in the body, by the model's name.
    pub bound: &'static [(&'static str, Place)],
    /// The input's member that is the whole body; empty when the body holds every member that is not bound.
    pub payload: &'static str,
    /// The output's members that do not travel in the body.
    pub output: &'static [(&'static str, Place)],
    /// The output's member that is the whole body; empty as `payload`.
    pub output_payload: &'static str,
}

/// A query parameter or header that a request must have to mean an operation.
#[derive(Debug)]
pub struct Requirement {
    pub place: Place,
    pub name: &'static str,
    /// Empty: whatever it says.
    pub text: &'static str,
    /// Part of the operation's address (`?acl`): without it another operation is meant. Otherwise it is a required member,
    /// and a request that lacks it may still mean this operation and be wrong.
    pub literal: bool,
}

/// Where a member travels that is not in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Header,
    /// A map: every header whose name begins with the member's wire name; what follows is the key.
    Headers,
    Path,
    Query,
}

#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub input: &'static Schema,
    pub output: &'static Schema,
    /// Query: the element around the result, empty when the operation has no output. REST in XML: the answer's root
    /// element, empty when it is a member's.
    pub result_wrapper: &'static str,
    /// The errors that the model lists for it.
    pub errors: &'static [&'static ErrorShape],
}

/// A modelled error.
#[derive(Debug, PartialEq)]
pub struct ErrorShape {
    /// The shape's name: `ClusterNotFoundException`, `AlreadyExistsFault`.
    pub name: &'static str,
    /// The code on the wire: differs from the name in query services (`AlreadyExists`).
    pub code: &'static str,
    pub status: u16,
}

#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Blob {
        min: Option<i64>,
        max: Option<i64>,
    },
    Bool,
    /// Whatever JSON says: a policy. Only resource types have such properties; no request does.
    Document,
    Float {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// `long`: 64 bits, else 32.
    Int {
        long: bool,
        min: Option<i64>,
        max: Option<i64>,
    },
    List {
        member: &'static Schema,
        name: &'static str,
        flat: bool,
        min: Option<i64>,
        max: Option<i64>,
    },
    Map {
        key: &'static Schema,
        value: &'static Schema,
        key_name: &'static str,
        value_name: &'static str,
        flat: bool,
    },
    Record {
        members: &'static [Member],
    },
    /// `values`: the enum, when it is one and short enough to be listed.
    Text {
        min: Option<i64>,
        max: Option<i64>,
        pattern: &'static str,
        values: &'static [&'static str],
    },
    Time {
        format: TimeFormat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// What the protocol does by itself.
    Default,
    /// `Wed, 21 Oct 2015 07:28:00 GMT`
    HttpDate,
    Iso8601,
    UnixTimestamp,
}

#[derive(Debug)]
pub struct Member {
    /// Name in the model; also in JSON and CBOR.
    pub name: &'static str,
    /// Name in query and XML (the model's `locationName`, else the name). One with a colon (`xsi:type`) is an attribute of
    /// its record's element.
    pub wire: &'static str,
    /// Name in an ec2Query request (the model's `queryName`, else the wire name with an upper-case initial).
    pub ec2: &'static str,
    pub required: bool,
    pub schema: &'static Schema,
}
