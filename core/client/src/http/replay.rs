//! Which requests may be sent again when nobody knows whether the first copy was processed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, Method};
use url::Url;

use super::Error;
use super::attempt::Ask;
use super::failure::{Failure, Loss};

/// The header by which a server knows a repeated request (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// More attempts in a row that brought nothing are not made.
pub(super) const ATTEMPTS: u32 = 5;

/// RFC 9110 §9.2.2, or the caller's word.
pub(super) fn may_repeat(method: &Method, headers: &HeaderMap, repeatable: Option<bool>) -> bool {
    let idempotent = matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    repeatable.unwrap_or_else(|| idempotent || headers.contains_key(IDEMPOTENCY_KEY))
}

/// Whether two copies may be under way at once. Of what changes something, the slower copy could be applied after a
/// newer request, unless the server tells the copies by their key.
pub(super) fn may_overlap(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() || headers.contains_key(IDEMPOTENCY_KEY)
}

/// How long to wait before the attempt of that number, the first one being 0: the first repetition is made at once.
pub(super) fn pause(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(100) * 2_u32.pow((more - 2).min(5)),
    }
}

/// Why a request may not be sent again, after it came to nothing.
pub(super) fn refusal(
    ask: &Ask,
    repeatable: bool,
    failure: &Failure,
    ticket: &Ticket<'_>,
) -> Result<(), Error> {
    if failure.loss == Loss::Nothing {
        return Err(failure.error.clone());
    }
    if !failure.unprocessed && !repeatable {
        return Err(Error::NotReplayable {
            method: ask.method.clone(),
            why: failure.why.clone(),
        });
    }
    if !ask.body.is_whole() {
        return Err(Error::NotReplayable {
            method: ask.method.clone(),
            why: format!("{}; its body can be sent but once", failure.why).into(),
        });
    }
    if !failure.unprocessed && ticket.is_superseded() {
        return Err(Error::Superseded {
            method: ask.method.clone(),
        });
    }
    Ok(())
}

/// The requests in flight that change something, by what they change.
#[derive(Debug, Default)]
pub(super) struct Writes {
    newest: Mutex<HashMap<Url, (u64, usize)>>,
}

/// One request's place among those that change the same resource.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    writes: &'a Writes,
    place: Option<(Url, u64)>,
}

impl Writes {
    /// A request begins.
    pub(super) fn begin(&self, ask: &Ask) -> Ticket<'_> {
        let changes = !matches!(
            ask.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
        );
        let place = changes.then(|| {
            let mut url = ask.url.clone();
            url.set_fragment(None);
            let mut newest = self.lock();
            let (number, flying) = newest.entry(url.clone()).or_default();
            *number += 1;
            *flying += 1;
            (url, *number)
        });
        Ticket {
            writes: self,
            place,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Url, (u64, usize)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Whether a newer request to change the same has begun.
    fn is_superseded(&self) -> bool {
        let Some((url, number)) = &self.place else {
            return false;
        };
        let newest = self.writes.lock();
        newest.get(url).is_some_and(|(newest, _)| newest > number)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some((url, _)) = &self.place else {
            return;
        };
        let mut newest = self.writes.lock();
        if let Some((_, flying)) = newest.get_mut(url) {
            *flying -= 1;
            // Numbers matter only among those in flight.
            if *flying == 0 {
                newest.remove(url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;

    use super::*;
    use crate::http::Body;

    fn ask(method: Method) -> Ask {
        Ask {
            method,
            url: Url::parse("http://a.example/x#y").unwrap(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    fn lost(unprocessed: bool) -> Failure {
        Failure {
            loss: Loss::Connection,
            unprocessed,
            why: "lost".into(),
            error: Error::Protocol {
                host: "a.example".to_owned(),
                why: Arc::from("lost"),
            },
        }
    }

    #[test]
    fn what_does_no_harm_twice_is_repeated_and_nothing_else() {
        let none = HeaderMap::new();
        for method in [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::PUT,
            Method::DELETE,
        ] {
            assert!(may_repeat(&method, &none, None), "{method}");
        }
        let mut key = HeaderMap::new();
        key.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("1"));
        for method in [Method::POST, Method::PATCH] {
            assert!(!may_repeat(&method, &none, None), "{method}");
            assert!(may_repeat(&method, &key, None), "{method}");
            assert!(may_repeat(&method, &none, Some(true)), "{method}");
        }
        assert!(!may_repeat(&Method::GET, &none, Some(false)));
    }

    #[test]
    fn a_post_is_repeated_only_if_it_was_certainly_not_processed() {
        let (writes, post) = (Writes::default(), ask(Method::POST));
        let ticket = writes.begin(&post);
        assert!(refusal(&post, false, &lost(true), &ticket).is_ok());
        let refused = refusal(&post, false, &lost(false), &ticket);
        assert!(
            matches!(refused, Err(Error::NotReplayable { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn nothing_is_repeated_behind_a_newer_write_to_the_same() {
        let writes = Writes::default();
        let put = ask(Method::PUT);
        let first = writes.begin(&put);
        assert!(refusal(&put, true, &lost(false), &first).is_ok());
        // Reading changes nothing.
        let _get = writes.begin(&ask(Method::GET));
        assert!(refusal(&put, true, &lost(false), &first).is_ok());
        let second = writes.begin(&ask(Method::DELETE));
        let refused = refusal(&put, true, &lost(false), &first);
        assert!(
            matches!(refused, Err(Error::Superseded { .. })),
            "{refused:?}"
        );
        assert!(refusal(&put, true, &lost(false), &second).is_ok());
        drop((first, second));
        assert!(writes.lock().is_empty());
    }

    #[test]
    fn the_first_repetition_is_made_at_once_and_later_ones_are_not() {
        let pauses: Vec<_> = (0..5).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 100, 200, 400]);
        assert_eq!(pause(100), Duration::from_millis(3200));
    }
}
