//! The lab for machines without namespaces: TCP relays on the loopback address, which delay, pace
//! and withhold.
//!
//! A relay is a proxy, and so a weaker lab than a [`World`](crate::World): it acknowledges what it
//! takes, it loses nothing, and a connection to it is accepted even while it is silent. It shows a
//! session that fails over; it does not show how TCP feels about the link.

mod link;
mod relay;

use std::thread::{self, JoinHandle};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use link::LoopbackLink;

use crate::error::{LabError, Step as _};
use crate::spec::LinkSpec;

/// Relayed links on the loopback address, on any operating system. Dropping it ends every
/// connection through it.
#[derive(Debug)]
pub struct Loopback {
    links: Vec<LoopbackLink>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Collects the links of a [`Loopback`].
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct LoopbackBuilder {
    links: Vec<(String, LinkSpec)>,
}

impl LoopbackBuilder {
    /// Adds a link. Of its spec, `rtt`, `jitter`, `rate` and `queue` count.
    pub fn link(mut self, name: &str, spec: LinkSpec) -> Self {
        self.links.push((name.to_owned(), spec));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When two links have one name, or the thread cannot be started.
    pub fn build(self) -> Result<Loopback, LabError> {
        for (at, (name, _)) in self.links.iter().enumerate() {
            if self.links[..at].iter().any(|(other, _)| other == name) {
                return Err(LabError::BadSpec(format!(
                    "there are two links named {name:?}"
                )));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .step(|| "build a runtime".into())?;
        let handle: Handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("lab-loopback".into())
            .spawn(move || {
                // An error means that the sender is gone, which is the signal as well.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .step(|| "start a thread".into())?;
        let link = |(name, spec)| LoopbackLink::new(name, spec, handle.clone());
        Ok(Loopback {
            links: self.links.into_iter().map(link).collect(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Loopback {
    /// `wlan0` as [`LinkSpec::wifi`] and `wwan0` as [`LinkSpec::cellular`].
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn new() -> Result<Self, LabError> {
        Self::builder()
            .link("wlan0", LinkSpec::wifi())
            .link("wwan0", LinkSpec::cellular())
            .build()
    }

    /// One without links, to add them to.
    pub fn builder() -> LoopbackBuilder {
        LoopbackBuilder::default()
    }

    /// The links in the order in which they were added.
    #[must_use]
    pub fn links(&self) -> &[LoopbackLink] {
        &self.links
    }

    /// The link of this name.
    ///
    /// # Panics
    ///
    /// When there is none; [`find_link`](Self::find_link) does not panic.
    #[must_use]
    #[track_caller]
    pub fn link(&self, name: &str) -> LoopbackLink {
        match self.find_link(name) {
            Ok(link) => link,
            Err(error) => panic!("{error}"),
        }
    }

    /// The link of this name.
    ///
    /// # Errors
    ///
    /// [`LabError::NoSuchLink`].
    pub fn find_link(&self, name: &str) -> Result<LoopbackLink, LabError> {
        let found = self.links.iter().find(|link| link.name() == name);
        found
            .cloned()
            .ok_or_else(|| LabError::NoSuchLink(name.to_owned()))
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
