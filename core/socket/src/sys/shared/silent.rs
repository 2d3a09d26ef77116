//! Events, for platforms that tell an app none: what is fed is all that is heard.

use std::io;

use crate::{Interface, sys, watch::Urgency};

#[derive(Debug)]
pub(crate) struct Events;

impl Events {
    #[allow(clippy::unnecessary_wraps, reason = "other platforms can fail here")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        sys::interfaces()
    }

    pub(crate) async fn next(&mut self) -> Urgency {
        std::future::pending().await
    }
}
