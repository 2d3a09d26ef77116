//! A request up to the head of its answer: sent again where that is safe, redirected, put off.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST,
    HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep};
use twinpath_proto::Role;
use url::Url;

use super::Error;
use super::attempt::{Answer, Ask};
use super::body::Body;
use super::client::Inner;
use super::failure::{Failure, Loss};
use super::flow::{Flow, PATIENCE};
use super::origin::{self, Origin};
use super::replay;
use super::report::{Report, RequestEvent};

/// A server is asked again that often after it has asked to come back later.
const POSTPONED: u32 = 3;

/// What a request came to.
pub(super) struct Sent {
    pub(super) head: http::response::Parts,
    pub(super) url: Url,
    pub(super) flow: Flow,
    /// The body is compressed, and nobody but this client has asked for that.
    pub(super) gzip: bool,
}

/// Sends a request and follows it.
pub(super) async fn send(
    client: &Arc<Inner>,
    mut ask: Ask,
    repeatable: Option<bool>,
    report: Report,
) -> Result<Sent, Error> {
    let gzip = client.wants_gzip(&ask.headers);
    if gzip {
        ask.headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    report.waits();
    let (mut postponed, mut redirects) = (0, 0);
    loop {
        let may_repeat = replay::may_repeat(&ask.method, &ask.headers, repeatable);
        let answer = client.answered(&ask, may_repeat, &report).await?;
        if let Some(pause) = postponement(&answer, client.options.retry_after) {
            if may_repeat && ask.body.is_whole() && postponed < POSTPONED {
                postponed += 1;
                report.tell(&RequestEvent::Postponed { by: pause });
                drop(answer);
                sleep(pause).await;
                continue;
            }
        }
        // Where what is not followed leads is not looked at.
        let next = match client.options.redirects {
            0 => None,
            _ => redirect(&ask, &answer)?,
        };
        if let Some(next) = next {
            redirects += 1;
            if redirects > client.options.redirects {
                return Err(Error::TooManyRedirects(client.options.redirects));
            }
            report.tell(&RequestEvent::Redirected);
            ask = next;
            continue;
        }
        let head = answer.head.clone();
        let url = ask.url.clone();
        report.came();
        report.tell(&RequestEvent::Answered {
            status: head.status,
            path: answer.path(),
            mode: answer.mode(),
        });
        let gzip = gzip
            && head
                .headers
                .get(CONTENT_ENCODING)
                .is_some_and(|coding| coding == "gzip");
        let flow = Flow::new(
            Arc::clone(client),
            Arc::new(ask),
            may_repeat,
            report,
            answer,
        );
        return Ok(Sent {
            head,
            url,
            flow,
            gzip,
        });
    }
}

impl Inner {
    /// The head of an answer, from as many attempts as it takes and is safe.
    async fn answered(
        self: &Arc<Self>,
        ask: &Ask,
        may_repeat: bool,
        report: &Report,
    ) -> Result<Answer, Error> {
        let ticket = self.writes.begin(ask);
        let began = Instant::now();
        let mut attempts = 0;
        let mut over = None;
        let mut left = None::<(Role, Arc<str>)>;
        loop {
            let failure = match self.hedged(ask, may_repeat, over, report).await {
                Ok(answer) => {
                    if let Some((from, why)) = left.filter(|(from, _)| *from != answer.role) {
                        report.tell(&RequestEvent::Failover { from, why });
                    }
                    self.stand_by(&answer);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            attempts += 1;
            replay::refusal(ask, may_repeat, &failure, &ticket)?;
            let nowhere = failure.loss == Loss::NotConnected && began.elapsed() >= PATIENCE;
            if attempts >= replay::ATTEMPTS || nowhere {
                return Err(failure.error);
            }
            log::debug!("a request is sent again: {}", failure.why);
            if let Loss::Path(role) = failure.loss {
                left.get_or_insert_with(|| (role, Arc::clone(&failure.why)));
            }
            over = match failure.loss {
                Loss::Silence => over.is_none().then_some(Role::Backup),
                _ => None,
            };
            sleep(replay::pause(attempts)).await;
            report.tell(&RequestEvent::Replayed);
        }
    }

    /// One attempt, or two if the first one takes long and both may be made.
    async fn hedged(
        self: &Arc<Self>,
        ask: &Ask,
        may_repeat: bool,
        over: Option<Role>,
        report: &Report,
    ) -> Result<Answer, Failure> {
        let origin = Origin::of(&ask.url);
        let target = self.target(&origin);
        let first = self.attempt(ask, None, over, report);
        let may_hedge = may_repeat
            && replay::may_overlap(&ask.method, &ask.headers)
            && over.is_none()
            && ask.body.is_whole()
            && ask
                .body
                .length()
                .is_some_and(|length| length <= super::hedge::LARGEST)
            && self.connector.preferred(&target) == Role::Primary;
        if !may_hedge || !self.hedges.is_on(&self.connector) {
            return first.await;
        }
        let mut first = std::pin::pin!(first);
        tokio::select! {
            biased;
            result = &mut first => return result,
            () = sleep(self.hedges.delay()) => {}
        }
        if !self.hedges.may(&self.connector, &target) {
            return first.await;
        }
        report.tell(&RequestEvent::Hedged);
        let mut second = std::pin::pin!(self.attempt(ask, None, Some(Role::Backup), report));
        tokio::select! {
            biased;
            result = &mut first => match result {
                Err(failure) if failure.loss != Loss::Nothing => second.await,
                result => result,
            },
            result = &mut second => match result {
                Err(_) => first.await,
                answer => answer,
            },
        }
    }
}

/// How long the server wants to be left alone, if that is no longer than we would wait.
fn postponement(answer: &Answer, most: Duration) -> Option<Duration> {
    let pause = match answer.head.status {
        // RFC 8470 §5.2: nothing was processed, and nothing of ours goes out before the handshake is over.
        StatusCode::TOO_EARLY => Duration::ZERO,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(&answer.head.headers, SystemTime::now())?
        }
        _ => return None,
    };
    (pause <= most).then_some(pause)
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The request that a redirect asks for (RFC 9110 §15.4).
fn redirect(ask: &Ask, answer: &Answer) -> Result<Option<Ask>, Error> {
    next_request(ask, answer.head.status, &answer.head.headers)
}

fn next_request(ask: &Ask, status: StatusCode, headers: &HeaderMap) -> Result<Option<Ask>, Error> {
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => ask.method != Method::POST,
        StatusCode::SEE_OTHER => matches!(ask.method, Method::GET | Method::HEAD),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION).and_then(|it| it.to_str().ok()) else {
        return Ok(None);
    };
    if keeps_method && !ask.body.is_whole() {
        // The caller gets the redirect itself.
        return Ok(None);
    }
    let joined = ask.url.join(location).ok();
    let Some(mut url) = joined.and_then(|url| origin::parse(url.as_str()).ok()) else {
        // So does the caller if it leads to where HTTP does not.
        return Ok(None);
    };
    if url.fragment().is_none() {
        url.set_fragment(ask.url.fragment());
    }
    let (from, to) = (Origin::of(&ask.url), Origin::of(&url));
    if from.https && !to.https {
        return Err(Error::InsecureRedirect(url.to_string()));
    }
    let mut next = ask.clone();
    if !keeps_method {
        next.method = Method::GET;
        next.body = Body::empty();
        for name in [
            CONTENT_LENGTH,
            CONTENT_TYPE,
            CONTENT_ENCODING,
            TRANSFER_ENCODING,
        ] {
            next.headers.remove(name);
        }
    }
    next.headers.remove(HOST);
    if from != to {
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            next.headers.remove(name);
        }
    }
    next.url = url;
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, url: &str) -> Ask {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("secret"));
        Ask {
            method,
            url: Url::parse(url).unwrap(),
            headers,
            body: Body::from("body"),
        }
    }

    fn next(ask: &Ask, status: u16, location: &str) -> Result<Option<Ask>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().unwrap());
        next_request(ask, StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn redirects_change_the_method_as_browsers_do() {
        for (status, from, to) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (302, Method::PUT, Method::PUT),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            let next = next(&ask(from.clone(), "http://a.example/x"), status, "/y")
                .unwrap()
                .unwrap();
            assert_eq!(next.method, to, "{status} {from}");
            assert_eq!(next.body.is_empty(), from != to, "{status} {from}");
            assert_eq!(next.url.as_str(), "http://a.example/y");
        }
        assert!(
            next(&ask(Method::GET, "http://a.example/"), 304, "/y")
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn secrets_stay_with_their_origin_and_https_with_https() {
        let from = ask(Method::GET, "https://a.example/x#top");
        let same = next(&from, 302, "y").unwrap().unwrap();
        assert!(same.headers.contains_key(AUTHORIZATION));
        assert_eq!(same.url.as_str(), "https://a.example/y#top");
        for other in ["https://b.example/", "https://a.example:444/"] {
            let next = next(&from, 302, other).unwrap().unwrap();
            assert!(!next.headers.contains_key(AUTHORIZATION), "{other}");
        }
        assert!(matches!(
            next(&from, 302, "http://a.example/"),
            Err(Error::InsecureRedirect(_))
        ));
    }

    #[test]
    fn a_redirect_to_where_http_does_not_lead_is_handed_over() {
        let from = ask(Method::GET, "https://a.example/x");
        for nowhere in [
            "ftp://a.example/",
            "http://[bad",
            "mailto:a@b.example",
            "http://a:99999/",
        ] {
            assert!(next(&from, 302, nowhere).unwrap().is_none(), "{nowhere}");
        }
    }

    #[test]
    fn the_time_to_come_back_is_in_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 25 Nov 2026 10:00:00 GMT").unwrap();
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(of("3"), Some(3));
        assert_eq!(of("Wed, 25 Nov 2026 10:00:05 GMT"), Some(5));
        assert_eq!(of("Wed, 25 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }
}
