//! How far a download is, for those who watch.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use twinpath::Role;
use twinpath::http::{Progress, RequestEvent};

/// A bar on standard error, if that is a terminal.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    role: AtomicU8,
}

const SIZED: &str =
    "{msg:10} {bar:30} {bytes:>10} of {total_bytes} {bytes_per_sec:>12}, {eta} left";
const UNSIZED: &str = "{msg:10} {spinner} {bytes:>10} {bytes_per_sec:>12}";

impl Bar {
    /// For a download that begins at that byte.
    pub(super) fn new(quiet: bool, begins: u64) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = match shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(UNSIZED));
        bar.set_position(begins);
        bar.reset_eta();
        if shown {
            // So that a stall is seen to be one.
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bar,
            role: AtomicU8::new(0),
        }
    }

    /// All there is, if that is known.
    pub(super) fn set_total(&self, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
            self.bar.set_style(style(SIZED));
        }
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// The file is begun anew.
    pub(super) fn begin_anew(&self) {
        self.bar.set_position(0);
        self.bar.reset_eta();
    }

    /// Over which path the bytes come.
    pub(super) fn path(&self, progress: Progress) {
        let (role, name) = match progress.role {
            Role::Primary => (1, "primary"),
            Role::Backup => (2, "backup"),
        };
        if self.role.swap(role, Ordering::Relaxed) != role {
            self.bar.set_message(name);
        }
    }

    /// A line above the bar for what a user would like to know.
    pub(super) fn tell(&self, event: &RequestEvent) {
        let text = match event {
            RequestEvent::Failover { from, why } => {
                format!("the {from} path is lost ({why}); going on over the other one")
            }
            RequestEvent::Failback => "back on the primary path".to_owned(),
            RequestEvent::Resumed { at } => format!("going on at byte {at}"),
            RequestEvent::Restarted => "fetching the beginning again, to compare it".to_owned(),
            RequestEvent::Postponed { by } => {
                format!("the server asks to come back in {} s", by.as_secs())
            }
            _ => return,
        };
        self.bar.println(format!("  {text}"));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are those above; a test looks at them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [SIZED, UNSIZED] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
