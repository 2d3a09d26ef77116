//! A JOIN that somebody has recorded is no JOIN.

/// Which counters of JOINs were seen: the last 64 below the highest.
#[derive(Debug, Default)]
pub(super) struct ReplayWindow {
    /// One more than the highest seen.
    next: u64,
    seen: u64,
}

impl ReplayWindow {
    /// True once per counter; counters that fell out of the window are refused.
    pub(super) const fn accept(&mut self, counter: u64) -> bool {
        if counter == u64::MAX {
            return false;
        }
        if counter >= self.next {
            let shift = counter + 1 - self.next;
            self.seen = if shift >= 64 { 0 } else { self.seen << shift };
            self.seen |= 1;
            self.next = counter + 1;
            return true;
        }
        let age = self.next - 1 - counter;
        if age >= 64 || self.seen & (1 << age) != 0 {
            return false;
        }
        self.seen |= 1 << age;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayWindow;

    #[test]
    fn a_counter_is_accepted_once_and_two_may_cross() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(0));
        assert!(!window.accept(0));
        assert!(window.accept(2));
        assert!(window.accept(1));
        assert!(!window.accept(1));
        assert!(window.accept(100));
        assert!(!window.accept(36));
        assert!(window.accept(37));
        assert!(window.accept(u64::MAX - 1));
        assert!(!window.accept(100));
        assert!(!window.accept(u64::MAX));
    }
}
