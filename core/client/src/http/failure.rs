//! An attempt that came to nothing: what it means for the next one.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use twinpath_proto::Role;

use super::Error;
use super::link::{Hold, Unanswered};
use crate::error::ConnectError;
use crate::pair::Interrupted;

/// Why an attempt came to nothing.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) loss: Loss,
    /// The server has certainly not processed the request.
    pub(super) unprocessed: bool,
    /// In words.
    pub(super) why: Arc<str>,
    /// What to tell if there is no other attempt.
    pub(super) error: Error,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The path of that role.
    Path(Role),
    /// The connection.
    Connection,
    /// Nothing came for very long.
    Silence,
    /// There was no connection to begin with.
    NotConnected,
    /// Nothing that another attempt could mend.
    Nothing,
}

impl Failure {
    /// What another attempt cannot mend.
    pub(super) fn fatal(error: Error) -> Self {
        Self {
            loss: Loss::Nothing,
            unprocessed: true,
            why: error.to_string().into(),
            error,
        }
    }

    pub(super) fn silence(what: &'static str, limit: Duration) -> Self {
        let error = Error::Timeout { what, limit };
        Self {
            loss: Loss::Silence,
            unprocessed: false,
            why: error.to_string().into(),
            error,
        }
    }

    /// The answer ended before its end.
    pub(super) fn short() -> Self {
        let why: Arc<str> = "it ended before its end".into();
        Self {
            loss: Loss::Connection,
            unprocessed: false,
            error: Error::Truncated {
                received: 0,
                why: Arc::clone(&why),
            },
            why,
        }
    }

    pub(super) fn not_connected(error: ConnectError) -> Self {
        use crate::ErrorKind::{InvalidInput, NameNotFound, NoInterface, Unsupported};
        let lasting = matches!(
            error.kind(),
            InvalidInput | NameNotFound | NoInterface | Unsupported
        );
        Self {
            loss: if lasting {
                Loss::Nothing
            } else {
                Loss::NotConnected
            },
            unprocessed: true,
            why: error.to_string().into(),
            error: error.into(),
        }
    }

    /// A TLS handshake that failed.
    pub(super) fn of_tls(host: &str, error: io::Error) -> Self {
        let why: Arc<str> = error.to_string().into();
        let host = host.to_owned();
        if let Some(Interrupted { role, .. }) = Interrupted::of(&error) {
            let loss = Loss::Path(*role);
            let error = Error::Tls {
                host,
                source: Arc::new(error),
            };
            return Self {
                loss,
                unprocessed: true,
                why,
                error,
            };
        }
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        let (loss, error) = match tls {
            Some(rustls::Error::InvalidCertificate(wrong)) => {
                let why = match wrong {
                    // What rustls does not know it tells as a programmer would.
                    rustls::CertificateError::Other(other) => other.to_string(),
                    _ => wrong.to_string(),
                };
                (Loss::Nothing, Error::Certificate { host, why })
            }
            Some(_) => (
                Loss::Nothing,
                Error::Tls {
                    host,
                    source: Arc::new(error),
                },
            ),
            None => (
                Loss::Connection,
                Error::Tls {
                    host,
                    source: Arc::new(error),
                },
            ),
        };
        Self {
            loss,
            unprocessed: true,
            why,
            error,
        }
    }

    /// A request without an answer.
    pub(super) fn of_request(host: &str, unanswered: Unanswered) -> Self {
        let Unanswered { error, unsent } = unanswered;
        let mut failure = Self::of_hyper(host, &error);
        failure.unprocessed |= unsent;
        failure
    }

    /// The same, with what the connection itself knows: HTTP/2 keeps the cause of its end to itself.
    pub(super) fn over(mut self, hold: &Hold) -> Self {
        if self.loss == Loss::Connection {
            if let Some(interrupted) = hold.attention().interrupted() {
                self.loss = Loss::Path(interrupted.role);
                self.why = interrupted.to_string().into();
            }
        }
        self
    }

    /// An error of hyper in the middle of a request or an answer.
    pub(super) fn of_hyper(host: &str, error: &hyper::Error) -> Self {
        let why: Arc<str> = in_words(error).into();
        let host = host.to_owned();
        let failed = |loss, error| Self {
            loss,
            unprocessed: false,
            why: Arc::clone(&why),
            error,
        };
        if let Some(interrupted) = Interrupted::of(error) {
            let error = Error::NoAnswer {
                host,
                why: Arc::clone(&why),
            };
            return failed(Loss::Path(interrupted.role), error);
        }
        if let Some(alert) = find(error).and_then(refusal_of_client) {
            return failed(
                Loss::Nothing,
                Error::Tls {
                    host,
                    source: Arc::new(io::Error::new(io::ErrorKind::PermissionDenied, alert)),
                },
            );
        }
        if error.is_user() {
            let source = find::<io::Error>(error)
                .map(|error| io::Error::new(error.kind(), error.to_string()));
            return failed(
                Loss::Nothing,
                match source {
                    Some(source) => Error::Body(Arc::new(source)),
                    None => Error::InvalidRequest(why.to_string()),
                },
            );
        }
        if error.is_parse() {
            return failed(
                Loss::Nothing,
                Error::Protocol {
                    host,
                    why: Arc::clone(&why),
                },
            );
        }
        let mut failure = failed(
            Loss::Connection,
            Error::NoAnswer {
                host,
                why: Arc::clone(&why),
            },
        );
        failure.unprocessed = error.is_canceled() || find(error).is_some_and(is_unprocessed);
        failure
    }
}

/// HTTP/2 says so (RFC 9113 §8.7): a stream that was refused, or is beyond the last one of an orderly GOAWAY.
fn is_unprocessed(error: &h2::Error) -> bool {
    let reason = error.reason();
    let refused = error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM);
    let gone = error.is_go_away() && reason == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || gone)
}

/// With TLS 1.3 a server says after the handshake that it does not accept the client's certificate, or wants one (RFC
/// 8446 §6.2).
fn refusal_of_client(error: &io::Error) -> Option<rustls::Error> {
    use rustls::AlertDescription as Alert;
    match error.get_ref()?.downcast_ref()? {
        alert @ rustls::Error::AlertReceived(
            Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate,
        ) => Some(alert.clone()),
        _ => None,
    }
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error with what caused it, for hyper tells the one without the other.
fn in_words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}
