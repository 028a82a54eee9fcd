//! Who calls, and what they may: principals with the roles they have over plans, and how credentials
//! name one. It knows no socket and no service; the gateway asks it who calls, and the services what
//! that caller may.

use std::{fmt, sync::Arc};

pub mod pattern;
pub mod rights;

use self::{
    pattern::Pattern,
    rights::{Role, Rpc},
};

/// The name of the caller of a daemon that does not ask who calls.
pub const ANONYMOUS: &str = "anonymous";

/// Who calls, as authenticated, with what they may. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    name: Arc<str>,
    grants: Arc<[Grant]>,
}

/// A role over some plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// With which plans: those that one of the patterns matches.
    pub plans: Vec<Pattern>,
}

/// The plans that a caller may do something with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<Pattern>);

impl Principal {
    /// A principal with roles.
    #[must_use]
    pub fn new(name: &str, grants: Vec<Grant>) -> Self {
        Self {
            name: name.into(),
            grants: grants.into(),
        }
    }

    /// Whoever calls a daemon that does not ask: may do all.
    #[must_use]
    pub fn anonymous() -> Self {
        let everything = |role| Grant {
            role,
            plans: vec![Pattern::all()],
        };
        Self::new(ANONYMOUS, Role::ALL.map(everything).into())
    }

    /// Its name: the actor of what it records.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a role of it may make this call at all, whatever the plan.
    #[must_use]
    pub fn may_call(&self, rpc: Rpc) -> bool {
        self.grants.iter().any(|grant| grant.role.may_call(rpc))
    }

    /// The plans with which it may make this call.
    #[must_use]
    pub fn scope(&self, rpc: Rpc) -> Scope {
        self.scope_of(|role| role.may_call(rpc))
    }

    /// The plans to which it may send a command, by the name of the command's field in `Command`.
    #[must_use]
    pub fn scope_of_command(&self, command: &str) -> Scope {
        self.scope_of(|role| role.may_command(command))
    }

    /// Whether it may make this call with a plan: whether [`scope`](Self::scope) holds it.
    #[must_use]
    pub fn may(&self, rpc: Rpc, plan_id: &str) -> bool {
        self.is_granted(|role| role.may_call(rpc), |plan| plan.matches(plan_id))
    }

    /// Whether it may make this call with every plan there can be.
    #[must_use]
    pub fn may_with_all(&self, rpc: Rpc) -> bool {
        self.is_granted(|role| role.may_call(rpc), Pattern::is_all)
    }

    /// Whether it may send a plan a command, by the name of the command's field in `Command`.
    #[must_use]
    pub fn may_command(&self, command: &str, plan_id: &str) -> bool {
        let may = |role: Role| role.may_command(command);
        self.is_granted(may, |plan| plan.matches(plan_id))
    }

    fn is_granted(&self, may: impl Fn(Role) -> bool, over: impl Fn(&Pattern) -> bool) -> bool {
        let grants = self.grants.iter();
        grants
            .filter(|grant| may(grant.role))
            .any(|grant| grant.plans.iter().any(&over))
    }

    fn scope_of(&self, may: impl Fn(Role) -> bool) -> Scope {
        let grants = self.grants.iter().filter(|grant| may(grant.role));
        Scope(grants.flat_map(|grant| grant.plans.clone()).collect())
    }
}

impl Scope {
    /// Whether it holds every plan there can be.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.iter().any(Pattern::is_all)
    }

    /// Whether it holds a plan.
    #[must_use]
    pub fn holds(&self, plan_id: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(plan_id))
    }
}

/// A name and roles; never a credential.
impl fmt::Debug for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Principal({:?}, {:?})", self.name, self.grants)
    }
}
