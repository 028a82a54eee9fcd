//! What a caller may for as long as what it showed holds: a principal that is looked up again when the
//! access file or the keys of tokens change, and when its token expires. A call that goes on stands on
//! this, so that it gets what one that begins now would get.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{
    Principal, Rejected,
    door::{Access, Shown},
    file::Known,
    rights::Rpc,
};

/// How long the end of a token is slept towards at a time: a clock that was set is noticed as soon.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// A caller with what it may as it is now. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Lease(Arc<Terms>);

struct Terms {
    current: ArcSwap<Current>,
    /// What to ask again; nothing: whoever calls may all there is, for ever.
    asked: Option<(Arc<Access>, Shown)>,
}

struct Current {
    known: Known,
    /// The generation of what names principals in which it was looked up.
    generation: u64,
}

impl Lease {
    /// Of a principal that is nobody's to take back.
    #[must_use]
    pub fn of_principal(principal: Principal) -> Self {
        let known = Known {
            principal,
            expires: None,
        };
        Self(Arc::new(Terms {
            current: ArcSwap::from_pointee(Current {
                known,
                generation: 0,
            }),
            asked: None,
        }))
    }

    /// Of whom was looked up by what it showed.
    pub(super) fn of_shown(
        access: Arc<Access>,
        shown: Shown,
        known: Known,
        generation: u64,
    ) -> Self {
        Self(Arc::new(Terms {
            current: ArcSwap::from_pointee(Current { known, generation }),
            asked: Some((access, shown)),
        }))
    }

    /// Who calls, with what they may, as it was looked up last.
    #[must_use]
    pub fn principal(&self) -> Principal {
        self.0.current.load().known.principal.clone()
    }

    /// Whether it may ever be another one.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.0.asked.is_some()
    }

    /// Whether they may make this call with a plan, as it was looked up last.
    #[must_use]
    pub fn may(&self, rpc: Rpc, plan_id: &str) -> bool {
        self.0.current.load().known.principal.may(rpc, plan_id)
    }

    /// Whether they may make this call with every plan there can be, as it was looked up last.
    #[must_use]
    pub fn may_with_all(&self, rpc: Rpc) -> bool {
        self.0.current.load().known.principal.may_with_all(rpc)
    }

    /// Who calls, with what they may now; or why they would not be let in now.
    pub async fn renew(&self) -> Result<Principal, Rejected> {
        let Some((access, shown)) = &self.0.asked else {
            return Ok(self.principal());
        };
        // Before it is looked up: what changes meanwhile is looked up once more.
        let generation = access.generation();
        let current = self.0.current.load_full();
        if current.generation == generation && !current.has_expired() {
            return Ok(current.known.principal.clone());
        }
        // It was good once, so looking again is not trying in vain.
        let known = access.look_up(shown, false).await?;
        let principal = known.principal.clone();
        self.0
            .current
            .store(Arc::new(Current { known, generation }));
        Ok(principal)
    }

    /// Returns once they have to be looked up again.
    pub async fn is_in_doubt(&self) {
        let Some((access, _)) = &self.0.asked else {
            return pending().await;
        };
        let current = self.0.current.load_full();
        tokio::select! {
            () = access.changed_since(current.generation) => {}
            () = current.expiry() => {}
        }
    }
}

impl Current {
    fn has_expired(&self) -> bool {
        let expires = self.known.expires;
        expires.is_some_and(|expires| expires <= Timestamp::now())
    }

    async fn expiry(&self) {
        let Some(expires) = self.known.expires else {
            return pending().await;
        };
        while let Ok(left) = Duration::try_from(expires.duration_since(Timestamp::now()))
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(SLEEP_MAX)).await;
        }
    }
}

/// Who it is; nothing of what was shown.
impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Lease({:?})", self.principal())
    }
}
