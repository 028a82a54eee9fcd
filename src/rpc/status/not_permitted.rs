//! What is said to callers who may not do what they ask. None of it tells whether a plan exists.

use tonic::Status;

use super::{metadata, refuse, with_metadata};
use crate::{access::rights::Rpc, proto::ErrorReason};

/// Nobody has said who calls: what asks must stand before every service, so nothing is done for one it
/// has not passed.
pub(in crate::rpc) fn no_caller(rpc: Rpc) -> Status {
    let rpc = rpc.name();
    tracing::error!(
        rpc,
        "a call came to a service without anybody having asked who calls"
    );
    refuse(
        ErrorReason::CredentialsRequired,
        "The daemon does not know who calls, so nothing was done: tell its operators, who find this \
         in its log.",
    )
}

/// The caller may not make this call, whatever the plan.
pub(in crate::rpc) fn call(caller: &str, rpc: Rpc) -> Status {
    let rpc = rpc.name();
    with_metadata(
        ErrorReason::NotPermitted,
        format!("{caller} may not call {rpc}: ask an operator for a role that may."),
        metadata([("rpc", rpc)]),
    )
}

/// The call is about all plans, and the caller may make it with some only.
pub(in crate::rpc) fn all_plans(caller: &str, rpc: Rpc) -> Status {
    let rpc = rpc.name();
    with_metadata(
        ErrorReason::NotPermitted,
        format!(
            "{caller} may not call {rpc}, which is about all plans: ask an operator for the role \
             over `*`."
        ),
        metadata([("rpc", rpc)]),
    )
}

/// The caller may not make this call with this plan, whether there is one or not.
pub(in crate::rpc) fn plan(caller: &str, rpc: Rpc, plan_id: &str) -> Status {
    let rpc = rpc.name();
    with_metadata(
        ErrorReason::NotPermitted,
        format!(
            "{caller} may not call {rpc} with the plan `{plan_id}`: ask an operator for a role over it."
        ),
        metadata([("rpc", rpc), ("plan_id", plan_id)]),
    )
}

/// The caller may not name this plan in a request, whether there is one or not.
pub(in crate::rpc) fn to_name(caller: &str, rpc: Rpc, plan_id: &str) -> Status {
    let rpc = rpc.name();
    with_metadata(
        ErrorReason::NotPermitted,
        format!(
            "{caller} may not read the plan `{plan_id}`, so it cannot be cited or named as a \
             successor: ask an operator for a role over it."
        ),
        metadata([("rpc", rpc), ("plan_id", plan_id)]),
    )
}

/// The caller may not send this plan such a command, whether there is one or not.
pub(in crate::rpc) fn command(caller: &str, rpc: Rpc, plan_id: &str, command: &str) -> Status {
    with_metadata(
        ErrorReason::NotPermitted,
        format!(
            "{caller} may not send `{command}` to the plan `{plan_id}`: ask an operator for a role that may."
        ),
        metadata([
            ("rpc", rpc.name()),
            ("plan_id", plan_id),
            ("command", command),
        ]),
    )
}
