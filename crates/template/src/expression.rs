use serde_json::Value as Json;

use crate::{Scope, TemplateError};

/// What stands for a value that is known only after the resource exists, in change sets.
pub const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// A value of a template in which functions may stand, checked for their form.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    line: usize,
    literal: Json,
}

impl Expression {
    /// Evaluates. `None` is `AWS::NoValue`.
    ///
    /// # Errors
    /// In CloudFormation's words, with the path below this expression and the line.
    pub fn resolve(&self, _scope: &Scope<'_>) -> Result<Option<Json>, TemplateError> {
        Ok(Some(self.literal.clone()))
    }

    /// 1-based.
    pub fn line(&self) -> usize {
        self.line
    }
}
