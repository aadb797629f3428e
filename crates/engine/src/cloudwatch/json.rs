//! The little JSON that CloudWatch writes into alarm histories and state reasons, and the check of what callers hand in.

use capstan_model::Time;

/// A string in quotes.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An array of strings.
pub(super) fn texts(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| text(item)).collect();
    format!("[{}]", items.join(","))
}

/// `"2019-10-02T16:59:00.000+0000"`, as CloudWatch writes moments inside JSON.
pub(super) fn moment(time: Time) -> String {
    let iso = time.iso_millis();
    format!("\"{}+0000\"", iso.trim_end_matches('Z'))
}

/// Whether the text is one JSON value.
pub(super) fn is_valid(text: &str) -> bool {
    let mut reader = Reader { rest: text.trim_start_matches(WHITE) };
    reader.value(0).is_some() && reader.rest.is_empty()
}

const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];
const DEPTH_MAX: u32 = 64;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?.trim_start_matches(WHITE);
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.rest.bytes().next()? {
            b'{' => self.items("{", "}", |reader| {
                reader.string()?;
                reader.eat(":")?;
                reader.value(depth + 1)
            }),
            b'[' => self.items("[", "]", |reader| reader.value(depth + 1)),
            b'"' => self.string(),
            b't' => self.eat("true"),
            b'f' => self.eat("false"),
            b'n' => self.eat("null"),
            _ => self.number(),
        }
    }

    fn items(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.eat(open)?;
        if self.eat(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.eat(",").is_none() {
                return self.eat(close);
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        let mut chars = self.rest.strip_prefix('"')?.char_indices();
        loop {
            match chars.next()? {
                (at, '"') => {
                    self.rest = self.rest[at + 2..].trim_start_matches(WHITE);
                    return Some(());
                }
                (_, '\\') => match chars.next()?.1 {
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                    'u' => {
                        for _ in 0..4 {
                            chars.next().filter(|(_, c)| c.is_ascii_hexdigit())?;
                        }
                    }
                    _ => return None,
                },
                (_, c) if c < ' ' => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let end = self
            .rest
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let digits = number.strip_prefix('-').unwrap_or(number);
        let leads = digits.starts_with(|c: char| c.is_ascii_digit());
        let padded = digits.len() > 1 && digits.starts_with('0') && !digits[1..].starts_with(['.', 'e', 'E']);
        number.parse::<f64>().ok().filter(|_| leads && !padded && !number.ends_with('.'))?;
        self.rest = rest.trim_start_matches(WHITE);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_what_is_not() {
        for good in ["{}", " [1, -2.5e3, \"a\\u00e9\\n\", null, true, {\"a\": []}] ", "0", "\"\""] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "{", "{a:1}", "[1,]", "01", "1.", "\"", "\"\\x\"", "nul", "{} {}", "+1", "inf"] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(!is_valid(&"[".repeat(100_000)));
        assert!(is_valid(&text("quote \" and \\ and \n and \u{1}")));
    }
}
