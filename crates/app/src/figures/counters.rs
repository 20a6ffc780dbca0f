//! Counters, which stages add to, and the counts that are read of them, both from one definition: see `counters!`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that any thread adds to. It orders no other memory, so that it costs a stage next to nothing.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more` to the sum.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes back `less` of what was counted before, where that turns out to be wrong.
    pub fn take_back(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Takes over a sum that is kept elsewhere.
    pub fn set(&self, sum: u64) {
        self.0.store(sum, Ordering::Relaxed);
    }

    /// The sum of all that was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter, or an array of them: what a field in `counters!` can be.
pub(super) trait Counted {
    /// What is read of it.
    type Count;

    /// The present sum, or sums.
    fn count(&self) -> Self::Count;

    /// What was counted between two readings; nothing where more was taken back than counted.
    fn difference(now: Self::Count, before: Self::Count) -> Self::Count;
}

impl Counted for Counter {
    type Count = u64;

    fn count(&self) -> u64 {
        self.get()
    }

    fn difference(now: u64, before: u64) -> u64 {
        now.saturating_sub(before)
    }
}

impl<const N: usize> Counted for [Counter; N] {
    type Count = [u64; N];

    fn count(&self) -> [u64; N] {
        self.each_ref().map(Counter::get)
    }

    fn difference(now: [u64; N], before: [u64; N]) -> [u64; N] {
        std::array::from_fn(|index| now[index].saturating_sub(before[index]))
    }
}

/// Defines a struct of [`Counter`]s and the struct of plain numbers that `read` makes of it, whose `since` is the
/// difference from an earlier reading. A field is a counter, or with `[N]` an array of them; what stands in `beside` is
/// part of the first struct alone.
macro_rules! counters {
    (
        $(#[$counters_attribute:meta])*
        pub struct $Counters:ident {
            $($(#[$doc:meta])* $visibility:vis $name:ident $([$length:expr])?,)+
        }
        $(beside {
            $($(#[$beside_doc:meta])* $beside_visibility:vis $beside:ident: $Beside:ty,)+
        })?
        $(#[$counts_attribute:meta])*
        pub struct $Counts:ident;
    ) => {
        $(#[$counters_attribute])*
        #[derive(Debug, Default)]
        pub struct $Counters {
            $($(#[$doc])* $visibility $name: $crate::figures::counters::counters!(@counter $($length)?),)+
            $($($(#[$beside_doc])* $beside_visibility $beside: $Beside,)+)?
        }

        $(#[$counts_attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $Counts {
            $($(#[$doc])* $visibility $name: $crate::figures::counters::counters!(@count $($length)?),)+
        }

        impl $Counters {
            /// What has been counted so far.
            pub fn read(&self) -> $Counts {
                use $crate::figures::counters::Counted as _;
                $Counts { $($name: self.$name.count(),)+ }
            }
        }

        impl $Counts {
            /// What was counted since an earlier reading.
            #[must_use]
            pub fn since(self, before: $Counts) -> $Counts {
                use $crate::figures::counters::Counted;
                $Counts {
                    $($name: <$crate::figures::counters::counters!(@counter $($length)?) as Counted>::difference(
                        self.$name,
                        before.$name,
                    ),)+
                }
            }
        }
    };
    (@counter) => { $crate::figures::counters::Counter };
    (@counter $length:expr) => { [$crate::figures::counters::Counter; $length] };
    (@count) => { u64 };
    (@count $length:expr) => { [u64; $length] };
}

pub(crate) use counters;

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro declares what it declares for the library")]
mod tests {
    counters! {
        /// Of this test.
        pub struct Counters {
            /// One.
            one,
            /// Several.
            several[2],
        }
        beside {
            name: &'static str,
        }
        /// A reading.
        pub struct Counts;
    }

    #[test]
    fn a_reading_has_every_counter_and_so_has_the_difference_of_two() {
        let counters = Counters { name: "beside", ..Counters::default() };
        counters.one.add(3);
        counters.several[1].set(5);
        let before = counters.read();
        assert_eq!((counters.name, before), ("beside", Counts { one: 3, several: [0, 5] }));
        counters.one.add(2);
        counters.several[0].add(7);
        counters.several[1].take_back(1);
        let since = counters.read().since(before);
        assert_eq!(since, Counts { one: 2, several: [7, 0] }, "more was taken back than counted since");
        assert_eq!(counters.read().since(Counts::default()), counters.read());
    }
}
