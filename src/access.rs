//! Who calls, and what they may: principals with the roles they have over plans, and how credentials
//! name one. It knows no socket and no service; the gateway asks it who calls, and the services what
//! that caller may.

use std::{fmt, sync::Arc};

pub mod credentials;
pub mod door;
pub mod file;
pub mod follow;
pub mod jwt;
pub mod lease;
pub mod pattern;
pub mod rights;
pub mod token;

use self::{
    pattern::Pattern,
    rights::{Role, Rpc},
};

/// The name of the caller of a daemon that does not ask who calls.
pub const ANONYMOUS: &str = "anonymous";

/// The name under which the daemon itself records: its clock, and what it is to begin with.
pub const CLOCK: &str = "stratad";

/// The longest name of a principal, in characters: that of an actor.
pub const NAME_CHARS_MAX: usize = crate::domain::shape::NAME_CHARS_MAX;

/// Who calls, as authenticated, with what they may. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    name: Arc<str>,
    grants: Arc<[Grant]>,
}

/// Why a caller is not let in. Nothing here tells a credential, so it can be sent and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Nothing was shown.
    #[error(
        "this daemon asks who calls: send `authorization: Bearer TOKEN` or a client certificate"
    )]
    Missing,
    /// The header is not one with a token.
    #[error("the header is not `authorization: Bearer TOKEN` with a token of this daemon or a JWT")]
    Malformed,
    /// It looks like a token of this daemon, and is none.
    #[error(transparent)]
    NoToken(#[from] token::NoToken),
    /// Nobody has this token.
    #[error("the token is not known here, or was revoked")]
    UnknownToken,
    /// The token was good once.
    #[error("the token has expired")]
    Expired,
    /// The certificate is of nobody known here.
    #[error("no principal has the name that is in the client certificate")]
    UnknownCertificate,
    /// The certificate is of more than one.
    #[error("the names in the client certificate are those of more than one principal")]
    AmbiguousCertificate,
    /// Signed tokens are not taken.
    #[error("this daemon takes no JWT: it has no jwt_keys")]
    NoIssuer,
    /// A signed token that is not good.
    #[error("the JWT is refused: {0}")]
    Jwt(#[from] jwt::Refused),
}

impl Rejected {
    /// Whether credentials were looked at that name nobody.
    #[must_use]
    pub const fn is_in_vain(&self) -> bool {
        !matches!(
            self,
            Self::Missing | Self::Jwt(jwt::Refused::Doubtful | jwt::Refused::KeysAwaited)
        )
    }
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
        Self::of_everything(ANONYMOUS)
    }

    /// The daemon itself: may do all.
    #[must_use]
    pub fn daemon() -> Self {
        Self::of_everything(CLOCK)
    }

    fn of_everything(name: &str) -> Self {
        let everything = |role| Grant {
            role,
            plans: vec![Pattern::all()],
        };
        Self::new(name, Role::ALL.map(everything).into())
    }

    /// Its name: the actor of what it records.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
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

/// Why a name is no principal's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Too short, too long, or not printable.
    #[error(
        "a name has 1 to {NAME_CHARS_MAX} letters, digits, ASCII punctuation and single spaces \
         between them"
    )]
    Form,
    /// One that the daemon uses itself.
    #[error("the names {CLOCK} and {ANONYMOUS} are the daemon's own")]
    Reserved,
}

/// Checks the name of a principal: it is the actor of what the principal records, for ever.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let is_plain = |c: char| c.is_alphanumeric() || c.is_ascii_punctuation() || c == ' ';
    let is_framed = name.starts_with(' ') || name.ends_with(' ') || name.contains("  ");
    let length_chars = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length_chars) || is_framed || !name.chars().all(is_plain) {
        return Err(BadName::Form);
    }
    // Nor what could be taken for them.
    if [CLOCK, ANONYMOUS]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
    {
        return Err(BadName::Reserved);
    }
    Ok(())
}

/// A name and roles; never a credential.
impl fmt::Debug for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Principal({:?}, {:?})", self.name, self.grants)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(role: Role, plans: &[&str]) -> Grant {
        let plans = plans.iter().map(|text| text.parse().expect("a pattern"));
        Grant {
            role,
            plans: plans.collect(),
        }
    }

    #[test]
    fn a_role_counts_for_its_own_plans_and_no_others() {
        let ana = Principal::new(
            "ana",
            vec![
                grant(Role::Planner, &["growth-*"]),
                grant(Role::Auditor, &["*"]),
            ],
        );
        assert!(ana.scope(Rpc::Execute).holds("growth-1"));
        assert!(!ana.scope(Rpc::Execute).holds("ops") && !ana.scope(Rpc::Execute).is_all());
        assert!(ana.scope(Rpc::GetPlan).is_all() && ana.scope(Rpc::ReadRaw).is_all());
        assert!(!ana.may_call(Rpc::Backup) && !ana.scope(Rpc::Backup).holds("growth-1"));
        assert!(ana.scope_of_command("record_note").holds("growth-1"));
        assert!(!ana.scope_of_command("lapse_commitment").holds("growth-1"));
    }

    #[test]
    fn nobody_asked_may_do_everything() {
        let anyone = Principal::anonymous();
        for rpc in Rpc::ALL {
            assert!(anyone.scope(rpc).is_all(), "{rpc:?}");
        }
        for command in ["create_plan", "lapse_commitment"] {
            assert!(anyone.scope_of_command(command).is_all());
        }
    }

    #[test]
    fn a_principal_without_roles_may_do_nothing() {
        let nobody = Principal::new("ben", Vec::new());
        for rpc in Rpc::ALL {
            assert!(
                !nobody.may_call(rpc) && !nobody.scope(rpc).holds("growth"),
                "{rpc:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_good_name_is_one_line_of_what_can_be_seen(name in "\\PC{0,30}|[a-z \\n\\t]{0,9}") {
            if check_name(&name).is_ok() {
                prop_assert_eq!(name.trim(), &name);
                prop_assert!(!name.is_empty() && !name.chars().any(char::is_control));
                prop_assert!(name.chars().count() <= NAME_CHARS_MAX);
            }
        }
    }
}
