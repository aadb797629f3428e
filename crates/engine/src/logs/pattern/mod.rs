//! Filter patterns (CloudWatch Logs guide, filter and pattern syntax): terms, JSON selectors, space-delimited fields.
//!
//! A pattern is read once and then held against events. The three forms are told apart by their first character: `{` is
//! JSON, `[` is fields, anything else is terms.

mod condition;
mod fields;
mod json;
mod terms;
#[cfg(test)]
mod tests;

/// A pattern that could be read.
#[derive(Debug)]
pub(super) struct Pattern(Form);

#[derive(Debug)]
enum Form {
    Everything,
    Fields(fields::Fields),
    Json(json::Expression),
    Terms(terms::Terms),
}

impl Pattern {
    /// What is wrong with the text, as the error.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let form = match text.chars().next() {
            None => Ok(Form::Everything),
            Some('{') => json::Expression::parse(text).map(Form::Json),
            Some('[') => fields::Fields::parse(text).map(Form::Fields),
            Some(_) => terms::Terms::parse(text).map(Form::Terms),
        };
        form.map(Self)
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Form::Everything => true,
            Form::Fields(fields) => fields.matches(message),
            Form::Json(expression) => {
                message.trim_start().starts_with(['{', '['])
                    && serde_json::from_str(message).is_ok_and(|event| expression.matches(&event))
            }
            Form::Terms(terms) => terms.matches(message),
        }
    }
}
