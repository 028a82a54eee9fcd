//! Which plans somebody may be shown. Who decides it stands above; what tells of several plans asks.

use std::{fmt, sync::Arc};

/// Says of a plan whether it may be shown.
type Shown = dyn Fn(&str) -> bool + Send + Sync;

/// Says of each plan whether it may be shown. Cheap to clone.
#[derive(Clone, Default)]
pub struct Permits(Option<Arc<Shown>>);

impl Permits {
    /// All plans.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// The plans of which that is true.
    pub fn only(shown: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(shown)))
    }

    /// Whether every plan there can be is among them.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a plan is among them.
    #[must_use]
    pub fn hold(&self, plan_id: &str) -> bool {
        self.0.as_ref().is_none_or(|shown| shown(plan_id))
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_all() { "all" } else { "some" })
    }
}
