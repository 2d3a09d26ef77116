//! Labels whose values are known when the program is built, so that a family can never grow.

use super::Counter;

/// One label's closed set of values.
pub(crate) trait Label: Copy + 'static {
    /// All values, in the order of their indices.
    const ALL: &'static [Self];
    fn index(self) -> usize;
    fn as_str(self) -> &'static str;
}

/// One counter for each value of a label.
#[derive(Debug)]
pub(crate) struct CounterSet<L> {
    counters: Box<[Counter]>,
    label: std::marker::PhantomData<fn(L)>,
}

impl<L: Label> CounterSet<L> {
    pub(crate) fn increment(&self, label: L) {
        self.of(label).increment();
    }

    pub(crate) fn of(&self, label: L) -> &Counter {
        &self.counters[label.index()]
    }
}

impl<L: Label> Default for CounterSet<L> {
    fn default() -> Self {
        Self {
            counters: L::ALL.iter().map(|_| Counter::default()).collect(),
            label: std::marker::PhantomData,
        }
    }
}

/// Declares an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$inner])* $variant,)+ }

        impl $crate::metrics::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn index(self) -> usize {
                self as usize
            }
            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

pub(crate) use label;
