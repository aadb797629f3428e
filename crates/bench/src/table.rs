//! What the program prints: a table of text.

/// One figure beside its budget and the peer's.
#[derive(Clone, Debug)]
pub struct Row {
    pub what: String,
    pub measured: String,
    /// The same of the peer, where it does the same; moto's, if the row names no other.
    pub peer: String,
    pub budget: &'static str,
    /// Whether the budget is kept; `None` where there is none, or nothing was measured.
    pub kept: Option<bool>,
}

/// Columns of their own width, headed and underlined.
pub fn render(rows: &[Row]) -> String {
    let header = ["what", "measured", "peer", "budget", ""].map(str::to_owned);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| {
        let verdict = match row.kept {
            Some(true) => "ok",
            Some(false) => "short",
            None => "",
        };
        [row.what.clone(), row.measured.clone(), row.peer.clone(), row.budget.to_owned(), verdict.to_owned()]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `12345.6` as `12,346`.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        let cases = [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.8, "1,234,568")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn lines_up() {
        let row = |what: &str, kept| Row {
            what: what.to_owned(),
            measured: "7 ms".to_owned(),
            peer: String::new(),
            budget: "< 50 ms",
            kept,
        };
        let expected = "\
what  measured  peer  budget
----  --------  ----  -------  -----
a     7 ms            < 50 ms  ok
long  7 ms            < 50 ms  short
";
        assert_eq!(render(&[row("a", Some(true)), row("long", Some(false))]), expected);
    }
}
