//! Chance for tests: numbers that differ from run to run, from a seed that a failure names and that
//! `TEST_SEED` sets. How often a test tries its luck can be set likewise. The names do not begin
//! as those of the daemon's settings do, for it refuses what it does not know.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
};

/// A stream of numbers.
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// Of the seed that is set, or of a new one.
    pub(crate) fn new() -> Self {
        Self::of_seed(set("TEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0)))
    }

    /// Of a known seed.
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// What to say when a test fails.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`, drawn as `SplitMix64` does.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// How often something is tried: as the environment says, or as is usual.
pub(crate) fn times(variable: &str, usual: usize) -> usize {
    set(variable).map_or(usual, |times| times.try_into().expect("so many"))
}

fn set(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value} is no number")),
    )
}
