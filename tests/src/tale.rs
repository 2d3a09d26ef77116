//! The events of one connection, written down as they come.

use std::fmt;
use std::time::Instant;

use tokio::sync::watch;
use twinpath::{Event, EventKind, Events, Role};

use crate::patience::soon;

/// What has happened to a connection so far.
#[derive(Clone)]
pub struct Tale {
    lines: watch::Receiver<Vec<(Instant, Event)>>,
    /// Once there are no more: how many were missed.
    missed: watch::Receiver<Option<u64>>,
}

impl Tale {
    /// Listens to `events` until they end.
    #[must_use]
    pub fn of(mut events: Events) -> Self {
        let (writer, lines) = watch::channel(Vec::new());
        let (ended, missed) = watch::channel(None);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                log::info!("event: {event:?}");
                writer.send_modify(|lines| lines.push((Instant::now(), event)));
            }
            ended.send_replace(Some(events.missed()));
        });
        Self { lines, missed }
    }

    /// How often this happened.
    #[must_use]
    pub fn count(&self, kind: EventKind) -> usize {
        let lines = self.lines.borrow();
        lines
            .iter()
            .filter(|(_, event)| event.kind() == kind)
            .count()
    }

    /// Waits until something of that kind has happened; it may have before.
    pub async fn until(&self, what: &str, is: impl Fn(&Event) -> bool) -> Event {
        self.moment(what, is).await.1
    }

    /// As [`until`](Self::until), with the time at which it was heard of.
    pub async fn moment(&self, what: &str, is: impl Fn(&Event) -> bool) -> (Instant, Event) {
        let mut lines = self.lines.clone();
        let happened = lines.wait_for(|lines| lines.iter().any(|(_, event)| is(event)));
        let waited = tokio::time::timeout(crate::patience::STEP, happened).await;
        match waited {
            Ok(Ok(lines)) => {
                let found = lines.iter().find(|(_, event)| is(event));
                found.cloned().unwrap()
            }
            Ok(Err(_)) => panic!("{what}: the connection ended without it: {self:?}"),
            Err(_) => panic!("{what}: not in time: {self:?}"),
        }
    }

    /// Waits until an event of that kind.
    pub async fn until_kind(&self, kind: EventKind) -> Event {
        self.until(kind.as_str(), |event| event.kind() == kind)
            .await
    }

    /// Waits until the backup's leg is up.
    pub async fn until_warm(&self) {
        let up =
            |event: &Event| matches!(event, Event::LegUp { path } if path.role == Role::Backup);
        self.until("the backup is warm", up).await;
    }

    /// Waits until so many legs have come up, and gives their paths in that order.
    pub async fn until_legs(&self, number: usize) -> Vec<Role> {
        let of = |lines: &Vec<(Instant, Event)>| -> Vec<Role> {
            let legs = lines.iter().filter_map(|(_, event)| match event {
                Event::LegUp { path } => Some(path.role),
                _ => None,
            });
            legs.collect()
        };
        let mut lines = self.lines.clone();
        let there = lines.wait_for(|lines| of(lines).len() >= number);
        of(&soon("the legs", there).await.unwrap())
    }

    /// Waits for the last event, and makes sure that all were heard.
    pub async fn end(&self) {
        soon("the last event", self.until_kind(EventKind::Summary)).await;
        let mut missed = self.missed.clone();
        let ended = missed.wait_for(Option::is_some);
        let missed = *soon("the end of the events", ended).await.unwrap();
        assert_eq!(missed, Some(0), "events were missed: {self:?}");
    }
}

impl fmt::Debug for Tale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.borrow();
        let Some((first, _)) = lines.first() else {
            return f.write_str("nothing happened");
        };
        for (at, event) in lines.iter() {
            write!(
                f,
                "\n  {:>6} ms {event:?}",
                at.duration_since(*first).as_millis()
            )?;
        }
        Ok(())
    }
}
