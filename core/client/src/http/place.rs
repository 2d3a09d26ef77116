//! Where an answer's body stands, and whether another answer goes on with it.

use bytes::{Buf as _, Bytes};
use http::header::{ETAG, HeaderValue};
use http::response::Parts;
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::attempt::{Ask, Part};
use super::validator::{Asked, ContentRange, coding, content_length, strong_validator};

/// How far a body has been handed over, and of what it is.
#[derive(Debug)]
pub(super) struct Place {
    status: StatusCode,
    /// The first byte, and the last one if the caller asked for a part.
    asked: Asked,
    first: u64,
    /// Bytes of the body in all, if known.
    expected: Option<u64>,
    /// Bytes of the whole representation, if known.
    total: Option<u64>,
    delivered: u64,
    validator: Option<HeaderValue>,
    etag: Option<HeaderValue>,
    coding: Option<HeaderValue>,
    /// Of what was handed over, where nothing else proves that another answer begins with the same.
    prefix: Option<Sha256>,
    /// Bytes of the present answer that were handed over already.
    skip: u64,
    skipped: Option<Sha256>,
    /// For GET alone.
    may_resume: bool,
}

/// How another answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoesOn {
    /// Where the last one broke off.
    Here,
    /// From the start: what was handed over is compared and left out.
    FromStart,
    /// It is of something else.
    NoMore,
}

/// The bytes that are skipped are not those that were handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Differs;

impl Place {
    /// At the beginning of an answer.
    pub(super) fn at_start(ask: &Ask, head: &Parts) -> Self {
        let headers = &head.headers;
        let asked = Asked::of(&ask.headers);
        let range =
            ContentRange::of(headers).filter(|_| head.status == StatusCode::PARTIAL_CONTENT);
        let length = content_length(headers).filter(|_| ask.method != Method::HEAD);
        let validator = strong_validator(headers);
        let whole = head.status == StatusCode::OK;
        let is_get = ask.method == Method::GET;
        let may_resume = is_get && (whole || range.is_some()) && asked != Asked::Odd;
        Self {
            status: head.status,
            asked,
            first: range.map_or(0, |range| range.first),
            expected: length.or_else(|| range.map(|range| range.last - range.first + 1)),
            total: match range {
                Some(range) => range.total,
                None => length.filter(|_| whole),
            },
            delivered: 0,
            etag: headers.get(ETAG).cloned(),
            coding: coding(headers),
            prefix: (validator.is_none() || !may_resume).then(Sha256::new),
            validator,
            skip: 0,
            skipped: None,
            may_resume,
        }
    }

    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) const fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Whether the present answer brings what was not handed over.
    pub(super) const fn is_here(&self) -> bool {
        self.skip == 0
    }

    /// Bytes that are still to come, if known.
    pub(super) fn rest(&self) -> Option<u64> {
        Some(self.expected?.saturating_sub(self.delivered))
    }

    /// Whether everything that was promised was handed over.
    pub(super) fn is_complete(&self) -> bool {
        self.skip == 0
            && self
                .expected
                .is_none_or(|expected| self.delivered >= expected)
    }

    /// Takes bytes of the present answer in; gives what is new of them, and how many are not.
    pub(super) fn take(&mut self, mut bytes: Bytes) -> Result<(Bytes, u64), Differs> {
        let known = self.skip.min(bytes.len() as u64);
        if known > 0 {
            let old = bytes.split_to(known as usize);
            self.skip -= known;
            if let Some(skipped) = &mut self.skipped {
                skipped.update(&old);
            }
            if self.skip == 0 {
                let again = self.skipped.take().map(Sha256::finalize);
                let before = self.prefix.clone().map(Sha256::finalize);
                if again.is_some() && again != before {
                    return Err(Differs);
                }
            }
        }
        if let Some(prefix) = &mut self.prefix {
            prefix.update(&bytes);
        }
        self.delivered += bytes.remaining() as u64;
        Ok((bytes, known))
    }

    /// What to ask for so as to go on from byte `at` of the body; `None`: for the same again.
    pub(super) fn part(&self, at: u64) -> Option<Part> {
        let of = self
            .validator
            .clone()
            .filter(|_| self.may_resume && at > 0)?;
        let last = match self.asked {
            Asked::From(_, last) => last,
            _ => None,
        };
        let first = self.first + at;
        Some(Part { first, last, of })
    }

    /// Whether another answer, to what [`part`](Self::part) gave or to the same question again, goes on with this body.
    pub(super) fn goes_on(&self, part: Option<&Part>, head: &Parts) -> GoesOn {
        let headers = &head.headers;
        let same_coding = coding(headers) == self.coding;
        let etag = headers.get(ETAG);
        let total = match ContentRange::of(headers) {
            Some(range) => range.total,
            None => content_length(headers).filter(|_| head.status == StatusCode::OK),
        };
        let same_total = self.total.is_none() || total.is_none() || total == self.total;
        if let Some(part) = part {
            if head.status == StatusCode::PARTIAL_CONTENT {
                let begins =
                    ContentRange::of(headers).is_some_and(|range| range.first == part.first);
                let same_etag = etag.is_none() || etag == self.etag.as_ref();
                return match begins && same_total && same_etag && same_coding {
                    true => GoesOn::Here,
                    false => GoesOn::NoMore,
                };
            }
            // It does not do ranges. What has the same strong validator is the same.
            let same = strong_validator(headers) == self.validator && self.first == 0;
            let whole = head.status == StatusCode::OK && self.status == StatusCode::OK;
            return match same && whole && same_total && same_coding {
                true => GoesOn::FromStart,
                false => GoesOn::NoMore,
            };
        }
        let comparable = self.delivered == 0 || self.prefix.is_some();
        let same_range = ContentRange::of(headers)
            .map(|range| range.first)
            .unwrap_or_default()
            == self.first;
        // The caller has seen the head.
        let same = self.validator.is_none() || strong_validator(headers) == self.validator;
        match head.status == self.status
            && same_range
            && same_total
            && same_coding
            && comparable
            && same
        {
            true => GoesOn::FromStart,
            false => GoesOn::NoMore,
        }
    }

    /// The next bytes are those of another answer.
    pub(super) fn go_on(&mut self, how: GoesOn) {
        match how {
            GoesOn::FromStart => {
                self.skip = self.delivered;
                self.skipped = (self.prefix.is_some() && self.skip > 0).then(Sha256::new);
            }
            _ => (self.skip, self.skipped) = (0, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, RANGE};
    use http::{HeaderMap, Response};
    use url::Url;

    use super::*;
    use crate::http::Body;

    fn ask(range: Option<&'static str>) -> Ask {
        let range = range.map(|range| (RANGE, HeaderValue::from_static(range)));
        Ask {
            method: Method::GET,
            url: Url::parse("http://a.example/").unwrap(),
            headers: range.into_iter().collect::<HeaderMap>(),
            body: Body::empty(),
        }
    }

    fn head(status: u16, headers: &[(HeaderName, &'static str)]) -> Parts {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    const WHOLE: &[(HeaderName, &str)] = &[(ETAG, "\"a\""), (CONTENT_LENGTH, "10")];

    /// Five of ten bytes were handed over.
    fn half(list: &[(HeaderName, &'static str)]) -> Place {
        let mut place = Place::at_start(&ask(None), &head(200, list));
        place.take(Bytes::from_static(b"01234")).unwrap();
        place
    }

    #[test]
    fn a_part_goes_on_only_if_it_is_the_right_one_of_the_same() {
        let place = half(WHOLE);
        let part = place.part(5).unwrap();
        assert_eq!(
            (part.first, part.last, &part.of),
            (5, None, &HeaderValue::from_static("\"a\""))
        );
        let of = |status, headers: &[_]| place.goes_on(Some(&part), &head(status, headers));
        let right = (CONTENT_RANGE, "bytes 5-9/10");
        assert_eq!(of(206, &[right.clone(), (ETAG, "\"a\"")]), GoesOn::Here);
        assert_eq!(of(206, std::slice::from_ref(&right)), GoesOn::Here);
        assert_eq!(of(206, &[right.clone(), (ETAG, "\"b\"")]), GoesOn::NoMore);
        assert_eq!(of(206, &[(CONTENT_RANGE, "bytes 4-9/10")]), GoesOn::NoMore);
        assert_eq!(of(206, &[(CONTENT_RANGE, "bytes 5-10/11")]), GoesOn::NoMore);
        assert_eq!(of(206, &[]), GoesOn::NoMore);
        let gzip = (http::header::CONTENT_ENCODING, "gzip");
        assert_eq!(of(206, &[right, gzip]), GoesOn::NoMore);
        assert_eq!(of(200, WHOLE), GoesOn::FromStart);
        assert_eq!(
            of(200, &[(ETAG, "\"b\""), (CONTENT_LENGTH, "10")]),
            GoesOn::NoMore
        );
        assert_eq!(of(404, &[]), GoesOn::NoMore);
    }

    #[test]
    fn without_a_strong_validator_the_start_is_compared_byte_by_byte() {
        let weak: &[(HeaderName, &str)] = &[(ETAG, "W/\"a\""), (CONTENT_LENGTH, "10")];
        let mut place = half(weak);
        assert!(place.part(5).is_none());
        assert_eq!(place.goes_on(None, &head(200, weak)), GoesOn::FromStart);
        place.go_on(GoesOn::FromStart);
        let (new, known) = place.take(Bytes::from_static(b"012")).unwrap();
        assert_eq!((&new[..], known), (&b""[..], 3));
        let (new, known) = place.take(Bytes::from_static(b"3456789")).unwrap();
        assert_eq!((&new[..], known), (&b"56789"[..], 2));
        assert!(place.is_complete());
        let mut other = half(weak);
        other.go_on(GoesOn::FromStart);
        assert_eq!(other.take(Bytes::from_static(b"01x345")), Err(Differs));
    }

    #[test]
    fn what_the_caller_asked_a_part_of_goes_on_in_that_part() {
        let ask = ask(Some("bytes=100-199"));
        let range = [(CONTENT_RANGE, "bytes 100-199/500"), (ETAG, "\"a\"")];
        let mut place = Place::at_start(&ask, &head(206, &range));
        assert_eq!(place.expected(), Some(100));
        place.take(Bytes::from(vec![0; 40])).unwrap();
        let part = place.part(40).unwrap();
        assert_eq!((part.first, part.last), (140, Some(199)));
        let rest = head(206, &[(CONTENT_RANGE, "bytes 140-199/500")]);
        assert_eq!(place.goes_on(Some(&part), &rest), GoesOn::Here);
        // The whole does not begin where the part did.
        assert_eq!(
            place.goes_on(Some(&part), &head(200, &[(ETAG, "\"a\"")])),
            GoesOn::NoMore
        );
    }
}
