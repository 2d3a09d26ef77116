//! Opens the further legs of a session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use twinpath_proto::{DialError, DialTarget, Role};
use twinpath_socket::{ConnectOptions, tune};

use super::{Bound, Live};
use crate::driver::{BoxFuture, DialFailure, DialedLeg, LegDialer, LegStream};

/// A leg that takes longer is of no use while bytes wait; the session asks again.
const DIAL_LIMIT: Duration = Duration::from_secs(5);

/// What a driver holds of its [`Live`].
#[derive(Debug)]
pub(in crate::connector) struct LegSource(pub(in crate::connector) Arc<Live>);

impl LegDialer for LegSource {
    fn dial(&self, role: Role, target: DialTarget) -> BoxFuture<Result<DialedLeg, DialFailure>> {
        let live = Arc::clone(&self.0);
        let state = live.lock();
        let path = state.plan.path(role).filter(|_| !state.suspended).cloned();
        drop(state);
        let Some(path) = path else {
            let source = io::Error::new(
                io::ErrorKind::NotFound,
                "no usable interface serves this path",
            );
            return Box::pin(async {
                Err(DialFailure {
                    kind: DialError::NoPath,
                    source,
                })
            });
        };
        let dialing = match (live.take_spare(role), &target) {
            (Some(spare), DialTarget::Original) => Ok(live.check_spare(spare, &path)),
            _ => live.dialing(&path, target),
        };
        Box::pin(async move {
            let stream = timeout(DIAL_LIMIT, dialing?).await.unwrap_or_else(|_| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no answer within 5 s",
                ))
            })?;
            tune_leg(&stream);
            let interfaces = live.watch.interfaces().unwrap_or_default();
            live.lock().bound[role.index()] = Bound::of(&stream, &path, &interfaces);
            Ok(DialedLeg::new(stream, Some(Arc::new(path.info()))))
        })
    }
}

/// Has the kernel give a leg's socket up when its path is dead. Not set by the dialer, which opens plain connections as
/// well: their peers may stop reading for as long as they like.
pub(crate) fn tune_leg(stream: &LegStream) {
    if let LegStream::Tcp(tcp) = stream {
        if let Err(error) = tune(tcp, &ConnectOptions::of_leg()) {
            log::debug!("a leg could not be tuned: {error}");
        }
    }
}
