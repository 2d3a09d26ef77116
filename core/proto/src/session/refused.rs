//! REFUSED: a gateway does not take a leg, or says that the session has ended.

use super::Session;
use crate::error::{Refusal, SessionError, WireError};
use crate::event::LegDownReason;
use crate::leg::{Leg, Phase};
use crate::time::Time;
use crate::types::{LegId, Role};
use crate::wire::hello::MAC_LEN;
use crate::wire::preamble::{self, Refused};

impl Session {
    /// Client: REFUSED on a leg that sent HELLO or JOIN.
    pub(super) fn take_refused(
        &mut self,
        leg: LegId,
        role: Role,
        whole: &[u8],
        now: Time,
    ) -> Result<(), SessionError> {
        let body = whole.get(preamble::HEADER_LEN..).unwrap_or_default();
        let refused = Refused::parse(body).map_err(|WireError(why)| SessionError::Protocol(why))?;
        let code = Refusal::from_wire(refused.code);
        self.close_leg(leg, true, LegDownReason::Refused);
        if self.keys.is_none() {
            if self.legs.iter().any(|leg| leg.phase == Phase::AwaitWelcome) {
                // Another leg may still get WELCOME: a repeated HELLO can overtake the first one.
                self.paths[role.index()].back_off(now);
                return Ok(());
            }
            return Err(match code {
                Refusal::Version => SessionError::VersionMismatch {
                    min: refused.min_version,
                    max: refused.max_version,
                },
                Refusal::Retry | Refusal::UnknownSession => SessionError::Interrupted {
                    sent: self.send.end(),
                },
                other => SessionError::Refused(other),
            });
        }
        match code {
            Refusal::UnknownSession => {
                self.unknown_from[role.index()] = true;
                let both = self.unknown_from == [true; 2];
                let none_lives = !self.legs.iter().any(Leg::may_answer);
                if both || none_lives {
                    return Err(SessionError::SessionLost {
                        sent: self.send.end(),
                        acknowledged: self.send.acked(),
                    });
                }
            }
            Refusal::Closed => self.take_closed(&refused, whole, now)?,
            // The next attempt carries a new counter.
            Refusal::Counter if self.paths[role.index()].may_hurry() => {
                self.paths[role.index()].reset(now);
                return Ok(());
            }
            _ => {}
        }
        self.paths[role.index()].back_off(now);
        Ok(())
    }

    /// Client: the gateway says that the session has ended in good order.
    fn take_closed(
        &mut self,
        refused: &Refused,
        whole: &[u8],
        now: Time,
    ) -> Result<(), SessionError> {
        let signed = &whole[..whole.len() - MAC_LEN.min(whole.len())];
        let authentic = match (&self.keys, &refused.mac) {
            (Some(keys), Some(mac)) => keys.join_gateway.verify(&[signed], mac),
            _ => false,
        };
        let Some((read, written)) = refused.offsets.filter(|_| authentic) else {
            return Ok(());
        };
        let all_delivered = self.send.is_finished() && read == self.send.end();
        if all_delivered
            && self.recv.is_finished()
            && self.recv.ack().checked_sub(1) == Some(written)
        {
            self.end(Ok(()), now);
            return Ok(());
        }
        Err(SessionError::SessionLost {
            sent: self.send.end(),
            acknowledged: read,
        })
    }
}
