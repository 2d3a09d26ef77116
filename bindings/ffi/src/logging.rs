//! The library's log, handed to the platform's logger.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::{Failure, Kind};

/// Lines that wait for the sink; what comes when as many do is dropped, rather than to wait in the middle of a connection.
const WAITING: usize = 256;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Mistakes of the library.
    Error,
    /// What is unusual, but works.
    Warn,
    /// What a user would see change.
    Info,
    /// Decisions, with addresses and host names.
    Debug,
}

/// Where lines of the log go. It is called on a thread of its own, one line after the other.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// One line, without its end.
    fn log(&self, level: LogLevel, module: String, line: String) -> Result<(), Failure>;
}

impl From<uniffi::UnexpectedUniFFICallbackError> for Failure {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::new(Kind::Other, error.reason)
    }
}

struct Line(LogLevel, String, String);

static SINK: RwLock<Option<Arc<dyn LogSink>>> = RwLock::new(None);
static LINES: OnceLock<Option<SyncSender<Line>>> = OnceLock::new();

/// Sends the log there from now on, instead of where it went.
#[uniffi::export]
pub fn set_log_sink(sink: Option<Arc<dyn LogSink>>, level: LogLevel) -> Result<(), Failure> {
    let is_begun = LINES.get_or_init(begin).is_some();
    if !is_begun {
        return Err(Failure::new(
            Kind::Unsupported,
            "the log of this process goes elsewhere already",
        ));
    }
    let level = match &sink {
        Some(_) => filter(level),
        None => LevelFilter::Off,
    };
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
    log::set_max_level(level);
    Ok(())
}

fn begin() -> Option<SyncSender<Line>> {
    let (lines, waiting) = sync_channel::<Line>(WAITING);
    thread::Builder::new()
        .name("twinpath-log".to_owned())
        .spawn(move || {
            for Line(level, module, line) in waiting {
                let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(sink) = sink {
                    // There is nowhere to tell that the log cannot be told.
                    let _ = sink.log(level, module, line);
                }
            }
        })
        .ok()?;
    log::set_logger(&Forward).ok()?;
    Some(lines)
}

struct Forward;

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("twinpath")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug | Level::Trace => LogLevel::Debug,
        };
        if let Some(Some(lines)) = LINES.get() {
            let line = Line(level, record.target().to_owned(), record.args().to_string());
            let _ = lines.try_send(line);
        }
    }

    fn flush(&self) {}
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    }
}
