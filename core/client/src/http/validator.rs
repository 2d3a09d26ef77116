//! What says that two answers are of the same representation, and which part of it they hold.

use std::time::Duration;

use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderValue, LAST_MODIFIED, RANGE,
};

/// A date is a strong validator if the resource had not changed for so long (RFC 9110 §8.8.2.2 asks for a second; clocks
/// of several servers behind one name may differ by more).
const SETTLED: Duration = Duration::from_secs(60);

/// The strong validator of an answer: fit for `If-Range` (RFC 9110 §13.1.5).
pub(super) fn strong_validator(headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(etag) = headers.get(ETAG) {
        return is_strong(etag).then(|| etag.clone());
    }
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let (modified, now) = (date(LAST_MODIFIED)?, date(DATE)?);
    let settled = now.duration_since(modified).ok()? >= SETTLED;
    settled
        .then(|| headers.get(LAST_MODIFIED).cloned())
        .flatten()
}

fn is_strong(etag: &HeaderValue) -> bool {
    let bytes = etag.as_bytes();
    bytes.len() >= 2 && bytes.starts_with(b"\"") && bytes.ends_with(b"\"")
}

/// The part that a 206 answer holds (RFC 9110 §14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = Self {
            first: number(first)?,
            last: number(last)?,
            total: match total.trim() {
                "*" => None,
                total => Some(number(total)?),
            },
        };
        let fits = range.total.is_none_or(|total| range.last < total);
        (range.first <= range.last && fits).then_some(range)
    }
}

/// What the caller has asked for by a `Range` header of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The whole.
    Whole,
    /// From there on, up to that byte if one is named.
    From(u64, Option<u64>),
    /// Something that cannot be gone on with: several ranges, or the last bytes of a size unknown.
    Odd,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(range) = headers.get(RANGE) else {
            return Self::Whole;
        };
        let parsed = || {
            let range = range.to_str().ok()?.trim().strip_prefix("bytes=")?;
            let (first, last) = range.split_once('-')?;
            let first = number(first)?;
            match last.trim() {
                "" => Some(Self::From(first, None)),
                last => Some(Self::From(first, Some(number(last)?))),
            }
        };
        parsed().unwrap_or(Self::Odd)
    }
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers.get(CONTENT_LENGTH)?.to_str().ok()?)
}

/// The coding of the bytes on the way; `None` for the plain ones.
pub(super) fn coding(headers: &HeaderMap) -> Option<HeaderValue> {
    let coding = headers.get(CONTENT_ENCODING)?;
    (coding != "identity").then(|| coding.clone())
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn headers(list: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = list.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_what_changes_with_every_byte_is_strong() {
        const DAY: &str = "Wed, 25 Nov 2026 10:00:00 GMT";
        let of = |list: &[_]| strong_validator(&headers(list));
        assert_eq!(of(&[(ETAG, "\"a\"")]).unwrap(), "\"a\"");
        for weak in ["W/\"a\"", "a", "\"", ""] {
            assert_eq!(of(&[(ETAG, weak), (LAST_MODIFIED, DAY)]), None, "{weak}");
        }
        let at = |date| of(&[(LAST_MODIFIED, DAY), (DATE, date)]);
        assert_eq!(at("Wed, 25 Nov 2026 10:01:00 GMT").unwrap(), DAY);
        assert_eq!(at("Wed, 25 Nov 2026 10:00:59 GMT"), None);
        assert_eq!(at("Wed, 25 Nov 2026 09:00:00 GMT"), None);
        assert_eq!(of(&[(LAST_MODIFIED, DAY)]), None);
    }

    #[test]
    fn a_part_is_understood_or_not_believed() {
        let of = |text| ContentRange::of(&headers(&[(CONTENT_RANGE, text)]));
        let (first, last) = (5, 9);
        let part = |total| Some(ContentRange { first, last, total });
        assert_eq!(of("bytes 5-9/10"), part(Some(10)));
        assert_eq!(of("bytes 5-9/*"), part(None));
        for wrong in [
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes */10",
            "5-9/10",
            "bytes 5-9",
            "bytes -9/10",
            "bytes +5-9/10",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_range_of_the_caller_is_understood_or_left_alone() {
        let of = |text| Asked::of(&headers(&[(RANGE, text)]));
        assert_eq!(of("bytes=5-"), Asked::From(5, None));
        assert_eq!(of("bytes=5-9"), Asked::From(5, Some(9)));
        for odd in [
            "bytes=-5",
            "bytes=1-2,5-6",
            "lines=1-2",
            "bytes=",
            "bytes=a-",
        ] {
            assert_eq!(of(odd), Asked::Odd, "{odd}");
        }
        assert_eq!(Asked::of(&HeaderMap::new()), Asked::Whole);
    }
}
