//! Which plans somebody may be shown. Who decides it stands above; what tells of several plans asks.

use std::{fmt, sync::Arc};

/// Says of a plan whether it may be shown.
type Shown = dyn Fn(&str) -> bool + Send + Sync;

/// Says whether all plans may be shown.
type AllShown = dyn Fn() -> bool + Send + Sync;

/// Says of each plan whether it may be shown. Cheap to clone.
#[derive(Clone, Default)]
pub struct Permits(Option<Asked>);

#[derive(Clone)]
struct Asked {
    all: Arc<AllShown>,
    one: Arc<Shown>,
}

impl Permits {
    /// All plans.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// The plans of which that is true.
    pub fn only(shown: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::changing(|| false, shown)
    }

    /// The plans of which that is true at the time; and whether that is all of them.
    pub fn changing(
        all: impl Fn() -> bool + Send + Sync + 'static,
        shown: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Asked {
            all: Arc::new(all),
            one: Arc::new(shown),
        }))
    }

    /// Whether every plan there can be is among them.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.as_ref().is_none_or(|asked| (asked.all)())
    }

    /// Whether a plan is among them.
    #[must_use]
    pub fn hold(&self, plan_id: &str) -> bool {
        self.0.as_ref().is_none_or(|asked| (asked.one)(plan_id))
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_all() { "all" } else { "some" })
    }
}
