use std::collections::BTreeMap;

use serde_json::Value as Json;

/// An entry of `Parameters`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `List<Number>`, `AWS::SSM::Parameter::Value<String>` and so on.
    pub parameter_type: String,
    /// The value when none is given.
    pub default: Option<String>,
    /// Whether descriptions show `****`.
    pub no_echo: bool,
    /// What it may be; empty: anything.
    pub allowed_values: Vec<String>,
    /// What it must match as a whole.
    pub allowed_pattern: Option<String>,
    /// Of a number.
    pub min_value: Option<String>,
    /// Of a number.
    pub max_value: Option<String>,
    /// Characters.
    pub min_length: Option<usize>,
    /// Characters.
    pub max_length: Option<usize>,
    /// Said when a constraint fails.
    pub constraint_description: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it stands in the template, 1-based.
    pub line: usize,
}

/// A parameter value as CreateStack and UpdateStack take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// `ParameterValue`.
    Value(String),
    /// `UsePreviousValue`, with what the stack has now ([`Argument::value`], so that SSM parameters are read again).
    Previous(String),
}

/// The values of all parameters, from [`crate::Template::bind`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// By parameter name.
    pub values: BTreeMap<String, Argument>,
}

/// The value of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// As given or defaulted; the name of the parameter in the store for SSM types.
    pub value: String,
    /// What the store holds, for SSM types only (`ResolvedValue`).
    pub resolved: Option<String>,
    /// What `Ref` gives: a text, or a list of texts for list types.
    pub reference: Json,
    /// Whether descriptions show `****`.
    pub no_echo: bool,
}
