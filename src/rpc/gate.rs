//! The gate: closed before recovery has ended and while the daemon stops, and open only to callers that
//! may make the call. Services reach the core through a [`Caller`] and plans through a [`Permitted`] id,
//! so that none answers without having asked who calls and with which plan.

use std::{
    future::pending,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Request, Status};

use super::{
    Core, MIN_POSITION_WAIT,
    call::Call,
    naming::Naming,
    status::{self, not_permitted, refuse},
    stopping,
};
use crate::{
    access::{Principal, lease::Lease, rights::Rpc},
    domain::{permits::Permits, shape::command_field, value::Id},
    proto::{Command, ErrorReason, ExecuteRequest, command::Kind},
};

/// The way to the core, closed before recovery has ended and while the daemon stops.
#[derive(Clone, Default)]
pub struct Gate {
    core: Arc<OnceLock<Arc<Core>>>,
    stopping: CancellationToken,
}

impl Gate {
    /// Lets calls through from now on.
    pub fn open(&self, core: Arc<Core>) {
        // Opened once, at the end of the start; a second time would change nothing.
        drop(self.core.set(core));
    }

    /// Lets no more calls through and ends the streams.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Cancelled when the daemon stops.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Who makes a call, if they may make it at all. What it names is noted in either case.
    pub(super) fn caller<T: Naming>(
        &self,
        request: &Request<T>,
        rpc: Rpc,
    ) -> Result<Caller<'_>, Status> {
        request.get_ref().note();
        let rights = Rights::of(request.extensions(), rpc);
        let rights = rights.ok_or_else(|| not_permitted::no_caller(rpc))?;
        rights.check_call()?;
        Ok(Caller { gate: self, rights })
    }
}

/// Who makes a call that they may make, with some plan at least.
pub(super) struct Caller<'a> {
    gate: &'a Gate,
    rights: Rights,
}

/// What a caller may do in the call that is made.
#[derive(Clone)]
pub struct Rights {
    principal: Principal,
    /// What it stands on; nothing: itself.
    lease: Option<Lease>,
    rpc: Rpc,
}

/// The id of a plan with which the caller may make the call.
#[derive(Clone, Copy)]
pub(super) struct Permitted<'a>(&'a str);

impl<'a> Caller<'a> {
    /// What they may do.
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The core, if the gate is open.
    pub(super) fn core(&self) -> Result<&'a Arc<Core>, Status> {
        if self.gate.stopping.is_cancelled() {
            return Err(stopping());
        }
        self.gate.core.get().ok_or_else(|| {
            refuse(
                ErrorReason::Starting,
                "The daemon is starting and recovers its log: try again.",
            )
        })
    }

    /// The core, once it has reached a position that the query asks for.
    pub(super) async fn core_at(&self, min_position: u64) -> Result<&'a Arc<Core>, Status> {
        let core = self.core()?;
        if min_position > core.feed.head() {
            let reached = tokio::time::timeout(MIN_POSITION_WAIT, core.feed.reached(min_position));
            tokio::select! {
                reached = reached => reached.map_err(|_| status::not_reached(min_position))?,
                () = self.gate.stopping.cancelled() => return Err(stopping()),
            }
        }
        Ok(core)
    }

    /// The plans that may be shown to them in an answer that goes on: at any time those that they may
    /// see then.
    pub(super) fn permits_at_the_time(&self) -> Permits {
        let rpc = self.rights.rpc;
        let Some(lease) = self.rights.lease.clone().filter(Lease::may_change) else {
            return self.permits();
        };
        let of_all = lease.clone();
        Permits::changing(
            move || of_all.may_with_all(rpc),
            move |plan_id| lease.may(rpc, plan_id),
        )
    }

    /// The plans that may be shown to them in the answer.
    pub(super) fn permits(&self) -> Permits {
        let Rights { principal, rpc, .. } = self.rights.clone();
        if principal.may_with_all(rpc) {
            Permits::all()
        } else {
            Permits::only(move |plan_id| principal.may(rpc, plan_id))
        }
    }

    /// A plan that the request names, if they may make the call with it.
    pub(super) fn plan<'p>(&self, plan_id: &'p str) -> Result<Permitted<'p>, Status> {
        self.rights.plan(plan_id)
    }

    /// Plans that the request names, if they may make the call with all of them.
    pub(super) fn plans(&self, plan_ids: &[impl Deref<Target = str>]) -> Result<(), Status> {
        self.rights.plans(plan_ids)
    }
}

impl Rights {
    /// What whoever makes a call may do in it; nothing where nobody has said who that is.
    #[must_use]
    pub fn of(extensions: &Extensions, rpc: Rpc) -> Option<Self> {
        Some(Self {
            principal: extensions.get::<Principal>()?.clone(),
            lease: extensions.get().cloned(),
            rpc,
        })
    }

    /// Whether they may become others while the call is under way.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::may_change)
    }

    /// The caller's name: the actor of what they record.
    pub(super) fn actor(&self) -> Arc<str> {
        self.principal.name().clone()
    }

    /// The same as they are now, if the caller may still make the call.
    pub(super) async fn renewed(&self) -> Result<Self, Status> {
        let Some(lease) = &self.lease else {
            return Ok(self.clone());
        };
        let principal = lease.renew().await.map_err(|it| status::of_rejected(&it))?;
        let renewed = Self {
            principal,
            ..self.clone()
        };
        renewed.check_call()?;
        Ok(renewed)
    }

    /// Returns once the call would be refused if it began then, with the status of that.
    pub async fn withdrawn(&self, call: &Call) -> Status {
        loop {
            match &self.lease {
                Some(lease) => lease.is_in_doubt().await,
                None => pending().await,
            }
            let renewed = self.renewed().await;
            if let Err(refused) = renewed.and_then(|it| it.plans(call.plan_ids())) {
                return refused;
            }
        }
    }

    /// Refuses whoever may not make the call at all.
    fn check_call(&self) -> Result<(), Status> {
        let (caller, rpc) = (self.principal.name(), self.rpc);
        if !self.principal.may_call(rpc) {
            return Err(not_permitted::call(caller, rpc));
        }
        if rpc.needs_all_plans() && !self.principal.may_with_all(rpc) {
            return Err(not_permitted::all_plans(caller, rpc));
        }
        Ok(())
    }

    fn plans(&self, plan_ids: &[impl Deref<Target = str>]) -> Result<(), Status> {
        let mut named = plan_ids.iter();
        named.try_for_each(|plan_id| self.plan(plan_id).map(drop))
    }

    fn plan<'p>(&self, plan_id: &'p str) -> Result<Permitted<'p>, Status> {
        if self.principal.may(self.rpc, plan_id) {
            Ok(Permitted(plan_id))
        } else {
            let caller = self.principal.name();
            Err(not_permitted::plan(caller, self.rpc, plan_id))
        }
    }

    /// Refuses a request that records something unless they may send its plan each of its commands, and
    /// read the other plans that it names: what is said of those would tell whether they exist. What is no
    /// id names no plan, and is refused for that by the shape of the request.
    pub(super) fn check_execute(&self, request: &ExecuteRequest) -> Result<(), Status> {
        let plan_id = &*request.plan_id;
        if !Id::is_valid(plan_id) {
            return Ok(());
        }
        self.plan(plan_id)?;
        let caller = self.principal.name();
        for command in request.commands.iter().filter(|it| it.kind.is_some()) {
            let name = command_field(command);
            if !self.principal.may_command(name, plan_id) {
                let rpc = self.rpc;
                return Err(not_permitted::command(caller, rpc, plan_id, name));
            }
        }
        let cited = request.because.iter().map(|cause| cause.plan_id.as_str());
        let successors = request.commands.iter().filter_map(successor);
        let mut others = cited.chain(successors);
        let hidden = others.find(|other| {
            *other != plan_id && Id::is_valid(other) && !self.principal.may(Rpc::GetPlan, other)
        });
        match hidden {
            Some(other) => Err(not_permitted::to_name(caller, self.rpc, other)),
            None => Ok(()),
        }
    }
}

impl Permitted<'_> {
    /// The id.
    pub(super) fn id(&self) -> &str {
        self.0
    }
}

/// The plan that a command names as one that carries on.
fn successor(command: &Command) -> Option<&str> {
    if let Some(Kind::ArchivePlan(it)) = &command.kind {
        Some(&it.successor_plan_id)
    } else {
        None
    }
}
