//! What containers print: the latest lines in memory, all of it in a file that is turned over when it grows.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use capstan_model::InstanceId;
use tokio::sync::mpsc;

use crate::spec::LogDestination;

/// Bytes of text kept in memory for each container.
const RING_BYTES: usize = 256 * 1024;
/// A line longer than this is cut into pieces, as Docker's json-file driver does.
const LINE_BYTES: usize = 16 * 1024;
/// A file that grows past this is renamed to `….log.1` and begun again.
const FILE_BYTES: u64 = 32 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub at: SystemTime,
    pub stream: Stream,
    /// Without its line end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// A line on its way to a log driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedLine {
    pub instance: InstanceId,
    pub destination: Arc<LogDestination>,
    pub line: LogLine,
}

/// Hands a container's lines to its log driver. A driver that does not keep up misses lines; the container does not wait
/// (Docker's mode `non-blocking`).
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    pub(crate) instance: InstanceId,
    pub(crate) destination: Arc<LogDestination>,
    pub(crate) lines: mpsc::Sender<ForwardedLine>,
}

/// The log of one container, over all its restarts.
#[derive(Clone, Debug)]
pub(crate) struct ContainerLog(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    ring: VecDeque<LogLine>,
    ring_bytes: usize,
    /// What has come since the last line end, by stream.
    partial: [Vec<u8>; 2],
    path: PathBuf,
    file: Option<File>,
    file_bytes: u64,
    tap: Option<Tap>,
}

impl ContainerLog {
    /// A log that appends to `path`. A file that cannot be opened is told once; the lines in memory stay.
    pub(crate) fn open(path: PathBuf, tap: Option<Tap>) -> Self {
        let file = open(&path);
        let file_bytes = file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |m| m.len());
        Self(Arc::new(Mutex::new(Inner {
            ring: VecDeque::new(),
            ring_bytes: 0,
            partial: [Vec::new(), Vec::new()],
            path,
            file,
            file_bytes,
            tap,
        })))
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lock().ring.iter().cloned().collect()
    }

    pub(crate) fn write(&self, at: SystemTime, stream: Stream, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.append_to_file(bytes);
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let room = LINE_BYTES - inner.partial[stream as usize].len();
            if room == 0 && *first != b'\n' {
                inner.end_line(at, stream);
                continue;
            }
            let end = rest.iter().take(room + 1).position(|byte| *byte == b'\n');
            let taken = end.unwrap_or_else(|| rest.len().min(room));
            inner.partial[stream as usize].extend_from_slice(&rest[..taken]);
            if end.is_some() {
                inner.end_line(at, stream);
            }
            rest = &rest[taken + usize::from(end.is_some())..];
        }
    }

    /// Ends a line that came without its line end, and closes the file.
    pub(crate) fn close(&self, at: SystemTime) {
        let mut inner = self.lock();
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !inner.partial[stream as usize].is_empty() {
                inner.end_line(at, stream);
            }
        }
        inner.file = None;
    }

    /// Opens the file again after [`Self::close`], for a restart of the container.
    pub(crate) fn reopen(&self) {
        let mut inner = self.lock();
        if inner.file.is_none() {
            inner.file = open(&inner.path);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Inner {
    fn end_line(&mut self, at: SystemTime, stream: Stream) {
        let bytes = std::mem::take(&mut self.partial[stream as usize]);
        let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(&bytes)).into_owned();
        self.ring_bytes += text.len();
        let line = LogLine { at, stream, text };
        if let Some(Tap { instance, destination, lines }) = &self.tap {
            let (instance, destination) = (*instance, destination.clone());
            let _ = lines.try_send(ForwardedLine { instance, destination, line: line.clone() });
        }
        self.ring.push_back(line);
        while self.ring_bytes > RING_BYTES || self.ring.len() > RING_BYTES / 16 {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.ring_bytes -= oldest.text.len();
        }
    }

    fn append_to_file(&mut self, bytes: &[u8]) {
        if self.file_bytes + bytes.len() as u64 > FILE_BYTES && self.file.take().is_some() {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            if let Err(error) = std::fs::rename(&self.path, older) {
                tracing::warn!(path = %self.path.display(), %error, "cannot turn the log file over; it grows on");
            }
            self.file = open(&self.path);
            self.file_bytes = 0;
        }
        let Some(file) = &mut self.file else { return };
        match file.write_all(bytes) {
            Ok(()) => self.file_bytes += bytes.len() as u64,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot append to the log file; it ends here");
                self.file = None;
            }
        }
    }
}

fn open(path: &PathBuf) -> Option<File> {
    let file = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(path));
    file.inspect_err(|error| {
        tracing::warn!(path = %path.display(), %error, "cannot open the log file; lines are kept in memory only");
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the pieces to stdout; the lines and the file that come of it.
    fn written(name: &str, pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let directory = std::env::temp_dir().join(format!("capstan-log-{}-{name}", std::process::id()));
        let path = directory.join("a").join("c.log");
        let log = ContainerLog::open(path.clone(), None);
        for piece in pieces {
            log.write(SystemTime::UNIX_EPOCH, Stream::Stdout, piece);
        }
        log.close(SystemTime::UNIX_EPOCH);
        let file = std::fs::read(path).expect("the log file");
        std::fs::remove_dir_all(directory).expect("remove the directory");
        (log.lines().into_iter().map(|line| line.text).collect(), file)
    }

    #[test]
    fn lines() {
        let check = |name: &str, pieces: &[&[u8]], expect: &[&str]| {
            let (lines, file) = written(name, pieces);
            assert_eq!(lines, expect, "{name}");
            assert_eq!(file, pieces.concat(), "{name}");
        };
        check("none", &[], &[]);
        check("whole", &[b"one\ntwo\n"], &["one", "two"]);
        check("cut", &[b"on", b"e\r\ntw", b"o"], &["one", "two"]);
        check("empty lines", &[b"\n\n"], &["", ""]);
        check("not UTF-8", &[b"\xff\n"], &["\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_ring_is_bounded() {
        let (lines, _) = written("long", &[&vec![b'x'; LINE_BYTES + 5]]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES, 5]);

        let (lines, _) = written("just fits", &[&vec![b'x'; LINE_BYTES], b"\n"]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES]);

        let piece = [vec![b'y'; 999], b"\n".to_vec()].concat();
        let (lines, file) = written("ring", &vec![piece.as_slice(); 1_000]);
        assert_eq!(lines.len(), RING_BYTES / 999);
        assert_eq!(file.len(), 1_000_000);

        let (lines, _) = written("ring of empty lines", &[&vec![b'\n'; 100_000]]);
        assert_eq!(lines.len(), RING_BYTES / 16);
    }
}
