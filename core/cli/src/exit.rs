//! How the command ends: its exit codes, and the one line that says what went wrong.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::args::Args;

/// The connection was lost, or a check failed.
pub(crate) const LOST: u8 = 1;
/// There never was a connection, or what it takes could not be set up.
pub(crate) const NOT_CONNECTED: u8 = 2;
/// What was measured is wrong, not merely slow.
pub(crate) const BROKEN: u8 = 3;
/// The command line is wrong; sysexits' `EX_USAGE`.
pub(crate) const USAGE: u8 = 64;

/// Something that ends the command, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// Empty if there is nothing to say.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn lost(message: impl Display) -> Self {
        Self::new(LOST, message)
    }

    pub(crate) fn not_connected(message: impl Display) -> Self {
        Self::new(NOT_CONNECTED, message)
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(USAGE, message)
    }

    /// With a code of its own.
    pub(crate) fn with_code(code: u8, message: impl Display) -> Self {
        Self::new(code, message)
    }

    /// Somebody wanted the end, and need not be told of it.
    pub(crate) const fn silent(code: u8) -> Self {
        Self {
            code,
            message: String::new(),
        }
    }

    fn new(code: u8, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

/// Ends with what `result` says.
pub(crate) fn with(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match failure.code {
                _ if failure.message.is_empty() => {}
                USAGE => complain(see_help(&failure.message)),
                _ => complain(&failure.message),
            }
            ExitCode::from(failure.code)
        }
    }
}

/// One line on standard error.
pub(crate) fn complain(message: impl Display) {
    // There is nobody left to tell if standard error is closed.
    let _ = writeln!(
        io::stderr().lock(),
        "twinpath: {}",
        one_line(&message.to_string())
    );
}

/// A line on standard output.
pub(crate) fn say(line: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        // As with `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure::not_connected(format!("standard output: {error}")))
        }
    }
}

/// What clap has to say: help goes to standard output, errors are one line and `EX_USAGE`.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe, as with `| head`, is no failure.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            let text = error.render().to_string();
            complain(see_help(&first_paragraphs(&text)));
            ExitCode::from(USAGE)
        }
    }
}

/// The error itself, without the usage line and the advice that follow it.
fn first_paragraphs(text: &str) -> String {
    let end = text.find("\nUsage:").unwrap_or(text.len());
    let text = text[..end].trim();
    let text = text.strip_prefix("error:").unwrap_or(text);
    let end = text.find("\nFor more information").unwrap_or(text.len());
    one_line(&text[..end])
}

/// The command whose help tells more, as far as it was understood.
fn command_of(mut arguments: impl Iterator<Item = String>) -> String {
    let known = Args::command();
    let subcommand = arguments
        .find(|argument| !argument.starts_with('-'))
        .filter(|name| known.find_subcommand(name).is_some());
    match subcommand {
        Some(subcommand) => format!("twinpath {subcommand}"),
        None => "twinpath".to_owned(),
    }
}

fn see_help(message: &str) -> String {
    let arguments = std::env::args_os().skip(1);
    let command = command_of(arguments.map(|it| it.to_string_lossy().into_owned()));
    format!("{message}; see `{command} --help`")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_clap_becomes_one_line() {
        let text = "error: the following required arguments were not provided:\n  <HOST:PORT>\n\n\
                    Usage: twinpath connect <HOST:PORT>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            first_paragraphs(text),
            "the following required arguments were not provided: <HOST:PORT>"
        );
        let bare = "error: bad\n\nFor more information, try '--help'.\n";
        assert_eq!(first_paragraphs(bare), "bad");
    }

    #[test]
    fn the_help_of_the_command_at_hand_is_pointed_to() {
        for (line, command) in [
            ("connect a:0", "twinpath connect"),
            ("-v connect", "twinpath connect"),
            ("gateway --listen x", "twinpath gateway"),
            ("conect a:1", "twinpath"),
            ("", "twinpath"),
        ] {
            let arguments = line.split_whitespace().map(str::to_owned);
            assert_eq!(command_of(arguments), command, "{line}");
        }
    }
}
