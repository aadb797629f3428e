//! What the demo prints: a timeline, tables and, on a terminal, colours and a status line that moves.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Stdout, Write as _, stdout};

use capstan_model::Span;
use comfy_table::{CellAlignment, Table, presets};
use owo_colors::{OwoColorize as _, Style};

/// Lines are not longer on wider terminals: the eye loses them.
const WIDTH_MAX: usize = 120;
/// Of lines that do not go to a terminal.
const WIDTH_PLAIN: usize = 100;
/// On narrower terminals lines are left to wrap by themselves.
const WIDTH_MIN: usize = 40;
/// ` 12:34  source   text`
const SOURCE_AT: usize = 8;
const TEXT_AT: usize = 17;
/// Cells of a progress bar.
const BAR: usize = 10;
const SPINNER: [char; 8] = ['⣾', '⣽', '⣻', '⢿', '⡿', '⣟', '⣯', '⣷'];

#[derive(Debug)]
pub(super) struct Screen {
    out: Stdout,
    terminal: bool,
    colours: bool,
    turns: usize,
    /// A status line stands at the cursor.
    status: bool,
    /// The latest line is empty.
    blank: bool,
}

/// What a line of the timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// What the story does.
    Call,
    Clients,
    /// What EC2 says of its instances.
    Signal,
    Metric,
    Group,
    Service,
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) have: usize,
    pub(super) want: usize,
}

impl Screen {
    /// Standard output; colours unless the user asked for none.
    pub(super) fn new(colours: bool) -> Self {
        let terminal = stdout().is_terminal();
        Self { out: stdout(), terminal, colours: colours && terminal, turns: 0, status: false, blank: false }
    }

    fn width(&self) -> usize {
        if !self.terminal {
            return WIDTH_PLAIN;
        }
        let size = rustix::termios::tcgetwinsize(&self.out).map_or(80, |size| usize::from(size.ws_col));
        size.clamp(WIDTH_MIN, WIDTH_MAX)
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.colours { text.style(style).to_string() } else { text.to_owned() }
    }

    /// A whole line. Output that nobody reads any more is no reason to end.
    fn print(&mut self, line: &str) {
        self.clear();
        let line = line.trim_end();
        self.blank = line.is_empty();
        let _ = writeln!(self.out, "{line}");
    }

    /// One empty line, however many are asked for.
    pub(super) fn blank(&mut self) {
        if !self.blank {
            self.print("");
        }
    }

    /// A chapter of the story.
    pub(super) fn heading(&mut self, text: &str) {
        let rule = "─".repeat(self.width().saturating_sub(text.chars().count() + 6));
        let line = format!(
            "{} {} {}",
            self.paint("───", Style::new().dimmed()),
            self.paint(text, Style::new().bold()),
            self.paint(&rule, Style::new().dimmed())
        );
        self.blank();
        self.print(&line);
    }

    /// A name and its value, before the timeline begins.
    pub(super) fn fact(&mut self, name: &str, value: &str) {
        for (number, line) in wrap(value, self.width().saturating_sub(TEXT_AT)).iter().enumerate() {
            let name = if number == 0 { name } else { "" };
            let name = self.paint(&format!(" {name:<width$}", width = TEXT_AT - 1), Style::new().dimmed());
            self.print(&format!("{name}{line}"));
        }
    }

    /// A line of the timeline, wrapped below its text.
    pub(super) fn event(&mut self, at: Span, source: Source, name: &str, text: &str) {
        let style = match source {
            Source::Call => Style::new().green(),
            Source::Clients => Style::new().magenta(),
            Source::Signal => Style::new().red(),
            Source::Group | Source::Metric => Style::new().yellow(),
            Source::Service => Style::new().cyan(),
        };
        for (number, line) in wrap(text, self.width().saturating_sub(TEXT_AT)).iter().enumerate() {
            let start = if number == 0 {
                let width = TEXT_AT - SOURCE_AT - 1;
                format!(
                    " {}  {} ",
                    self.paint(&clock(at), Style::new().dimmed()),
                    self.paint(&format!("{name:<width$}"), style)
                )
            } else {
                " ".repeat(TEXT_AT)
            };
            self.print(&format!("{start}{line}"));
        }
    }

    /// Numbers stand at the right of their columns.
    pub(super) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table.load_style(if self.terminal {
            presets::UTF8_FULL_CONDENSED
        } else {
            presets::ASCII_FULL_CONDENSED
        });
        table.set_header(header.iter().map(ToString::to_string).collect::<Vec<_>>());
        table.add_rows(rows.iter().cloned());
        for (number, column) in table.column_iter_mut().enumerate() {
            let mut cells = rows.iter().filter_map(|row| row.get(number));
            if cells.all(|cell| cell.bytes().all(|b| b.is_ascii_digit())) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<String> = table.lines().collect();
        let width = lines.first().map_or(0, |line| line.chars().count());
        // Below the sources, or further left where there is no room.
        let indent = self.width().saturating_sub(width + 1).min(SOURCE_AT);
        self.blank();
        for (number, line) in lines.iter().enumerate() {
            let line = match number {
                1 => self.paint_cells(line, Style::new().bold()),
                _ => self.paint_cells(line, Style::new()),
            };
            self.print(&format!("{:indent$}{line}", ""));
        }
        self.blank();
    }

    /// Borders stand back behind what they hold.
    fn paint_cells(&self, line: &str, style: Style) -> String {
        if !self.colours {
            return line.to_owned();
        }
        let is_border = |c: char| ('─'..='╿').contains(&c);
        let mut painted = String::new();
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let border = is_border(first);
            let end = rest.find(|c| is_border(c) != border).unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            let style = if border { Style::new().dimmed() } else { style };
            painted.push_str(&part.style(style).to_string());
            rest = tail;
        }
        painted
    }

    /// Shows what is waited for, on a terminal. The next line takes its place.
    pub(super) fn status(&mut self, at: Span, what: &str, progress: Option<Progress>, clients: &str) {
        if !self.terminal {
            return;
        }
        self.turns += 1;
        let spinner = SPINNER[self.turns % SPINNER.len()];
        let (bar, count) = progress.map_or_else(Default::default, |progress| progress.shown());
        let mut room = self.width().saturating_sub(1 + 2 + 7);
        let mut fit = |text: &str| {
            let text: String = text.chars().take(room).collect();
            room -= text.chars().count();
            text
        };
        let (what, bar, count, clients) = (
            fit(what),
            fit(&bar),
            fit(&count),
            fit(&if clients.is_empty() { String::new() } else { format!("  {clients}") }),
        );
        let line = format!(
            "{} {}  {what}{}{count}{}",
            self.paint(&spinner.to_string(), Style::new().green()),
            self.paint(&clock(at), Style::new().dimmed()),
            self.paint(&bar, Style::new().green()),
            self.paint(&clients, Style::new().dimmed()),
        );
        let _ = write!(self.out, "\r\x1b[2K{line}");
        let _ = self.out.flush();
        self.status = true;
    }

    /// Takes the status line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.status) {
            let _ = write!(self.out, "\r\x1b[2K");
            let _ = self.out.flush();
        }
    }

    /// The last line.
    pub(super) fn summary(&mut self, text: &str, good: bool) {
        let style = if good { Style::new().green().bold() } else { Style::new().red().bold() };
        let text = self.paint(text, style);
        self.blank();
        self.print(&text);
    }
}

impl Progress {
    fn shown(self) -> (String, String) {
        let full = (self.have * BAR).checked_div(self.want).map_or(BAR, |full| full.min(BAR));
        let bar = format!("  {}{}", "━".repeat(full), "╌".repeat(BAR - full));
        (bar, format!(" {}/{}", self.have, self.want))
    }
}

/// Minutes and seconds.
fn clock(at: Span) -> String {
    let secs = at.as_secs().max(0);
    format!("{:02}:{:02}", secs / 60, secs % 60)
}

/// Breaks at spaces. A word that is longer than a line gets a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        let space = if line.is_empty() { "" } else { " " };
        let _ = write!(line, "{space}{word}");
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_spaces() {
        let check =
            |text: &str, width: usize, expect: &[&str]| assert_eq!(wrap(text, width), expect, "{text}");
        check("", 10, &[""]);
        check("one two three", 20, &["one two three"]);
        check("one two three", 7, &["one two", "three"]);
        check("one two three", 3, &["one", "two", "three"]);
        check("a-very-long-word b", 5, &["a-very-long-word", "b"]);
        check("naïve café", 5, &["naïve", "café"]);
    }

    #[test]
    fn clocks_and_bars() {
        let check = |secs: i64, expect: &str| assert_eq!(clock(Span::from_secs(secs)), expect);
        check(0, "00:00");
        check(-3, "00:00");
        check(83, "01:23");
        check(6_000, "100:00");
        let bar = |have, want| Progress { have, want }.shown().0;
        assert_eq!(bar(0, 20), "  ╌╌╌╌╌╌╌╌╌╌");
        assert_eq!(bar(10, 20), "  ━━━━━╌╌╌╌╌");
        assert_eq!(bar(25, 20), "  ━━━━━━━━━━");
        assert_eq!(bar(0, 0), "  ━━━━━━━━━━");
    }
}
