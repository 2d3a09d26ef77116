//! A hold on a plain connection for whoever knows when an answer is due on it.

use std::sync::Arc;

use twinpath_proto::Role;

use crate::connection::{Connection, Inner};
use crate::mode::{Mode, PathInfo};
use crate::monitor::Monitor;
use crate::pair::Interrupted;
use crate::plain;

/// A second hold on a connection. It does not keep the connection open.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    monitor: Monitor,
    /// Of a plain connection.
    plain: Option<Arc<plain::Shared>>,
}

/// An answer is due as long as one of these lives.
#[derive(Debug)]
pub(crate) struct Awaiting {
    plain: Option<Arc<plain::Shared>>,
}

impl Connection {
    pub(crate) fn attention(&self) -> Attention {
        let plain = match &**self.inner() {
            Inner::Plain(shared) => Some(Arc::clone(shared)),
            Inner::Session { .. } => None,
        };
        Attention {
            monitor: self.monitor(),
            plain,
        }
    }
}

impl Attention {
    /// The path that carries the bytes now.
    pub(crate) fn role(&self) -> Role {
        self.monitor.stats().active
    }

    /// Its interface.
    pub(crate) fn path(&self) -> Option<PathInfo> {
        self.monitor.active_path()
    }

    pub(crate) fn mode(&self) -> Mode {
        self.monitor.mode()
    }

    pub(crate) const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// That it has lost its path, if it has: HTTP/2 does not hand errors through.
    pub(crate) fn interrupted(&self) -> Option<Interrupted> {
        self.plain.as_ref()?.interrupted().cloned()
    }

    /// From now on, and as long as what this gives lives, silence is not to be expected.
    pub(crate) fn awaiting(&self) -> Awaiting {
        if let Some(plain) = &self.plain {
            plain.await_answer(true);
        }
        Awaiting {
            plain: self.plain.clone(),
        }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        if let Some(plain) = &self.plain {
            plain.await_answer(false);
        }
    }
}
