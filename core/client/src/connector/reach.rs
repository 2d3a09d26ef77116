//! Single paths to a server: streams over one, and what is done when the primary leads there no longer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use twinpath_proto::Role;

use super::Connector;
use super::builder::Options;
use super::paths::Plan;
use super::race::BACKUP_DELAY;
use crate::detect::{Answer, probe};
use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::target::Target;

/// A question that a dialer is asked takes no longer.
const ASK_LIMIT: Duration = Duration::from_millis(900);

impl Connector {
    /// A stream to `target` over `path`, which may be open already.
    pub(super) fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        match self.spares.take(path, target) {
            Some(leg) => Box::pin(std::future::ready(Ok(leg))),
            None => self.options.dialer.dial(path, target),
        }
    }

    /// By how much the primary goes before the backup in a connect.
    pub(super) fn head_start(&self) -> Duration {
        match self.doubt.is_any() {
            true => Duration::ZERO,
            false => BACKUP_DELAY,
        }
    }

    /// The primary path was found dead under a connection to `target`, which is at that address.
    pub(super) fn doubt_primary(&self, target: &Target, server: Option<SocketAddr>) {
        let options = Arc::clone(&self.options);
        let watch = Arc::downgrade(&self.watch);
        let host = target.host().to_owned();
        let target = target.clone();
        self.doubt.begin(
            &host,
            Box::new(move || {
                // With the interfaces as they are by then.
                let plan = watch.upgrade().and_then(|watch| {
                    let interfaces = watch.interfaces().ok()?;
                    Some(Plan::choose(
                        &options,
                        &target,
                        &interfaces,
                        &watch.mandate(&interfaces),
                        None,
                    ))
                });
                match plan.as_ref().and_then(|plan| plan.path(Role::Primary)) {
                    Some(path) => ask(&options, path, &target, server),
                    None => Box::pin(std::future::ready(Answer::Gone)),
                }
            }),
        );
    }
}

/// Whether a server answers on a path: a handshake that leads to nothing.
pub(super) fn ask(
    options: &Options,
    path: &Path,
    target: &Target,
    server: Option<SocketAddr>,
) -> BoxFuture<Answer> {
    if let Some(server) = server.filter(|_| options.dialer.binds_sockets()) {
        return Box::pin(probe::ask(path.binding(), server));
    }
    let dialing = options.dialer.dial(path, target);
    Box::pin(async move {
        match timeout(ASK_LIMIT, dialing).await {
            Ok(Ok(leg)) => {
                leg.abort();
                Answer::Heard(Duration::ZERO)
            }
            Ok(Err(error)) => Answer::of_error(&error, Duration::ZERO),
            Err(_) => Answer::Nothing,
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::dialer::Dialer;

    /// Never opens anything.
    #[derive(Debug)]
    struct Mute {
        binds_sockets: bool,
    }

    impl Dialer for Mute {
        fn dial(&self, _path: &Path, _target: &Target) -> BoxFuture<io::Result<LegStream>> {
            Box::pin(std::future::pending())
        }

        fn binds_sockets(&self) -> bool {
            self.binds_sockets
        }
    }

    #[tokio::test]
    async fn a_dialer_that_binds_sockets_need_not_be_bothered_to_ask_a_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let target = Target::new("127.0.0.1", server.port());
        let path = Path::system_route(Role::Primary);
        let asked = async |binds_sockets| {
            let dialer = Arc::new(Mute { binds_sockets });
            let options = Connector::builder().dialer(dialer).into_options().unwrap();
            ask(&options, &path, &target, Some(server)).await
        };
        assert!(matches!(asked(true).await, Answer::Heard(_)));
        assert!(matches!(asked(false).await, Answer::Nothing));
    }
}
