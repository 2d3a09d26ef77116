//! Being told to end.

/// What the user (Ctrl-C) or the system ended the command with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is only Ctrl-C"))]
    Terminate,
}

impl Signal {
    /// What a shell would report of a process that died of it.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Takes the signals over, so that the connections can be ended before the process is.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Without them the signals end the process at once, as they do by default.
    #[cfg(unix)]
    both: Option<[tokio::signal::unix::Signal; 2]>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let both = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok([interrupt, signal(SignalKind::terminate())?]));
        if let Err(error) = &both {
            log::warn!("signals will not end connections in order: {error}");
        }
        Self { both: both.ok() }
    }

    /// Safe to cancel.
    pub(crate) async fn next(&mut self) -> Signal {
        let Some([interrupt, terminate]) = &mut self.both else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Self {
        Self {}
    }

    /// Safe to cancel.
    pub(crate) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
