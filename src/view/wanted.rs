//! Whether somebody still waits for what is being worked out. Who knows stands above; what goes over all
//! plans asks between its steps, and stops when nobody does.

use std::{fmt, sync::Arc};

use super::ViewError;

/// After how many steps of some work it is asked again: a fraction of a millisecond.
const STEPS: usize = 4_096;

/// Says whether somebody still waits. Cheap to clone.
#[derive(Clone, Default)]
pub struct Wanted(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Wanted {
    /// In any case.
    #[must_use]
    pub const fn always() -> Self {
        Self(None)
    }

    /// As long as that is true.
    pub fn while_true(waits: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(waits)))
    }

    /// Fails when nobody waits.
    pub fn go_on(&self) -> Result<(), ViewError> {
        if self.0.as_ref().is_none_or(|waits| waits()) {
            Ok(())
        } else {
            Err(ViewError::Interrupted)
        }
    }

    /// The same at each of many small steps, by their numbers; asked now and then.
    pub(super) fn go_on_at(&self, step: usize) -> Result<(), ViewError> {
        if step.is_multiple_of(STEPS) {
            self.go_on()
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_none() {
            "always"
        } else {
            "while asked"
        })
    }
}
