//! Templates in JSON, with lines.

use crate::TemplateError;
use crate::node::{DEEPEST, Entry, Node, Value, add, canonical_number};

pub(crate) fn read(text: &str) -> Result<Node, TemplateError> {
    let mut reader = Reader { text, at: 0, line: 1, line_start: 0, depth: 0 };
    reader.blanks();
    let node = reader.value()?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.malformed()) } else { Ok(node) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Offset of the current line's first byte.
    line_start: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn malformed(&self) -> TemplateError {
        TemplateError::whole(format!(
            "Template format error: JSON not well-formed. (line {}, column {})",
            self.line,
            self.at - self.line_start + 1
        ))
    }

    fn blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), TemplateError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn value(&mut self) -> Result<Node, TemplateError> {
        let line = self.line;
        let value = match self.peek().ok_or_else(|| self.malformed())? {
            b'{' => self.nested(Self::map)?,
            b'[' => self.nested(Self::list)?,
            b'"' => Value::Text(self.string()?),
            _ => self.word()?,
        };
        Ok(Node { line, value })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, TemplateError>,
    ) -> Result<Value, TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TemplateError::new("Template format error: the template is nested too deeply")
                .on_line(self.line));
        }
        self.at += 1;
        self.blanks();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn map(&mut self) -> Result<Value, TemplateError> {
        let mut entries = Vec::new();
        if self.peek() != Some(b'}') {
            loop {
                let line = self.line;
                if self.peek() != Some(b'"') {
                    return Err(self.malformed());
                }
                let key = self.string()?;
                self.blanks();
                self.expect(b':')?;
                self.blanks();
                let node = self.value()?;
                add(&mut entries, Entry { key, line, node })?;
                self.blanks();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
                self.blanks();
            }
        }
        self.expect(b'}')?;
        Ok(Value::Map(entries))
    }

    fn list(&mut self) -> Result<Value, TemplateError> {
        let mut items = Vec::new();
        if self.peek() != Some(b']') {
            loop {
                items.push(self.value()?);
                self.blanks();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
                self.blanks();
            }
        }
        self.expect(b']')?;
        Ok(Value::List(items))
    }

    /// From quote to quote; serde_json knows the escapes.
    fn string(&mut self) -> Result<String, TemplateError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => return Err(self.malformed()),
                Some(_) => end += 1,
            }
        }
        let string = serde_json::from_str(&self.text[start..=end]).map_err(|_| self.malformed())?;
        self.at = end + 1;
        Ok(string)
    }

    fn word(&mut self) -> Result<Value, TemplateError> {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match canonical_number(word) {
                Some(number) => Value::Number(number),
                None if serde_json::from_str::<serde_json::Number>(word).is_ok() => {
                    Value::Text(word.to_owned())
                }
                None => return Err(self.malformed()),
            },
        };
        self.at += end;
        Ok(value)
    }
}
