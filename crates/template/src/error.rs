use std::fmt;

/// What is wrong with a template or with the values given for it, in CloudFormation's words; services answer it as
/// `ValidationError`.
///
/// Where CloudFormation's own text does not name the place, [`fmt::Display`] appends the path and the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    message: String,
    path: Vec<String>,
    /// Whether the message names the place itself, or is not about a place (a parameter's value).
    placed: bool,
    line: Option<usize>,
}

impl TemplateError {
    /// An error about a place in the template that its caller will name with [`TemplateError::within`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: Vec::new(), placed: false, line: None }
    }

    /// An error whose text stands as it is: it is about a value given, or names the place itself.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: Vec::new(), placed: true, line: None }
    }

    /// The line, 1-based, unless an inner place has said it already.
    #[must_use]
    pub fn on_line(mut self, line: usize) -> Self {
        if self.line.is_none() && line > 0 {
            self.line = Some(line);
        }
        self
    }

    /// Puts a path segment in front: errors travel from the inside to the outside.
    #[must_use]
    pub fn within(mut self, segment: impl Into<String>) -> Self {
        self.path.insert(0, segment.into());
        self
    }

    /// CloudFormation's text, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where: `Resources`, the logical id, `Properties`, and so on inwards.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The logical id of the resource that it is about.
    pub fn logical_id(&self) -> Option<&str> {
        match self.path.as_slice() {
            [section, id, ..] if section == "Resources" => Some(id),
            _ => None,
        }
    }

    /// 1-based.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.placed {
            return Ok(());
        }
        let path = self.path.iter().map(|segment| format!("/{segment}")).collect::<String>();
        match (path.is_empty(), self.line) {
            (true, None) => Ok(()),
            (true, Some(line)) => write!(f, " (line {line})"),
            (false, None) => write!(f, " ({path})"),
            (false, Some(line)) => write!(f, " ({path}, line {line})"),
        }
    }
}

impl std::error::Error for TemplateError {}
