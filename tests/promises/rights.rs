//! What callers may do: every role, every call, every command, with a plan of theirs, another's and none,
//! against a table that is written out here, so that whoever changes a right changes it twice.

use prost_reflect::DescriptorPool;
use strata::{
    access::rights::{Role, Rpc},
    json,
    proto::{ExecuteRequest, FILE_DESCRIPTOR_SET},
};
use tempfile::tempdir;
use tonic::{Code, Status};

use crate::language::reading;

mod callers;
mod hidden;

use callers::{Caller, Came, asking};

const READERS: &[Role] = &[Role::Reader, Role::Planner, Role::Auditor];

/// Who may make which call.
const CALLS: [(Rpc, &[Role]); 26] = [
    (Rpc::Execute, &[Role::Planner, Role::Operator]),
    (Rpc::ExecuteStream, &[Role::Planner, Role::Operator]),
    (Rpc::GetPlan, READERS),
    (Rpc::ListPlans, READERS),
    (Rpc::ListEvents, READERS),
    (Rpc::ReadLog, READERS),
    (Rpc::Watch, READERS),
    (Rpc::DiffPlan, READERS),
    (Rpc::ListRevisions, READERS),
    (Rpc::Explain, READERS),
    (Rpc::SuggestTactic, READERS),
    (Rpc::ReviewPlan, READERS),
    (Rpc::ListCommitments, READERS),
    (Rpc::GetReliability, READERS),
    (Rpc::GetTacticStats, READERS),
    (Rpc::AssessStrategy, READERS),
    (Rpc::SearchTactics, READERS),
    (Rpc::GetCheckpoint, &[Role::Auditor, Role::Operator]),
    (Rpc::ProveInclusion, &[Role::Auditor]),
    (Rpc::ProveConsistency, &[Role::Auditor]),
    (Rpc::ReadRaw, &[Role::Auditor]),
    (Rpc::GetStatus, &[Role::Auditor, Role::Operator]),
    (Rpc::Backup, &[Role::Operator]),
    (Rpc::ConfirmClock, &[Role::Operator]),
    (Rpc::SetLogFilter, &[Role::Operator]),
    (Rpc::Reflection, &Role::ALL),
];

/// What only a role over all plans may call.
const OVER_ALL: [Rpc; 4] = [
    Rpc::ReadRaw,
    Rpc::Backup,
    Rpc::ConfirmClock,
    Rpc::SetLogFilter,
];

/// What operators may send; planners everything else.
const COMMANDS_OF_OPERATORS: [&str; 1] = ["lapse_commitment"];

/// A plan that all roles are over, one that only some are over, and one that does not exist.
const MINE: &str = "mine";
const OTHER: &str = "other";
const ABSENT: &str = "absent";

/// What each call is asked with, about a plan.
fn about(rpc: Rpc, plan_id: &str, role: Role) -> Option<String> {
    let command = if role == Role::Operator {
        r#"{"lapse_commitment": {"commitment_id": "c", "due": "2020-01-01T00:00:00Z"}}"#
    } else {
        r#"{"record_note": {"subject": "plan", "text": "So it is"}}"#
    };
    Some(match rpc {
        Rpc::Execute | Rpc::ExecuteStream => {
            format!(r#"{{"plan_id": "{plan_id}", "validate_only": true, "commands": [{command}]}}"#)
        }
        Rpc::GetPlan
        | Rpc::ListEvents
        | Rpc::DiffPlan
        | Rpc::SuggestTactic
        | Rpc::ReviewPlan
        | Rpc::GetTacticStats
        | Rpc::AssessStrategy => format!(r#"{{"plan_id": "{plan_id}"}}"#),
        Rpc::ListRevisions => format!(r#"{{"plan_id": "{plan_id}", "strategy_id": "s"}}"#),
        Rpc::Explain => format!(r#"{{"plan_id": "{plan_id}", "revision": 1}}"#),
        Rpc::Watch => format!(r#"{{"plan_ids": ["{plan_id}"], "from_position": 1}}"#),
        Rpc::ReadLog | Rpc::ListCommitments | Rpc::GetReliability => {
            format!(r#"{{"plan_ids": ["{plan_id}"]}}"#)
        }
        Rpc::SearchTactics => format!(r#"{{"query": "samples", "plan_ids": ["{plan_id}"]}}"#),
        Rpc::ListPlans
        | Rpc::GetCheckpoint
        | Rpc::ProveInclusion
        | Rpc::ProveConsistency
        | Rpc::ReadRaw
        | Rpc::GetStatus
        | Rpc::Backup
        | Rpc::ConfirmClock
        | Rpc::SetLogFilter
        | Rpc::Reflection => return None,
    })
}

/// What calls are asked with that are about no plan.
fn about_none(rpc: Rpc) -> Option<&'static str> {
    match rpc {
        Rpc::ListPlans
        | Rpc::ReadLog
        | Rpc::ListCommitments
        | Rpc::GetReliability
        | Rpc::GetTacticStats
        | Rpc::GetCheckpoint
        | Rpc::ProveConsistency
        | Rpc::ReadRaw
        | Rpc::GetStatus
        | Rpc::Backup
        | Rpc::ConfirmClock
        | Rpc::Reflection => Some("{}"),
        Rpc::Watch => Some(r#"{"from_position": 1}"#),
        Rpc::SearchTactics => Some(r#"{"query": "samples"}"#),
        Rpc::ProveInclusion => Some(r#"{"position": 1}"#),
        Rpc::SetLogFilter => Some(r#"{"filter": "info"}"#),
        Rpc::Execute
        | Rpc::ExecuteStream
        | Rpc::GetPlan
        | Rpc::ListEvents
        | Rpc::DiffPlan
        | Rpc::ListRevisions
        | Rpc::Explain
        | Rpc::SuggestTactic
        | Rpc::ReviewPlan
        | Rpc::AssessStrategy => None,
    }
}

/// A refusal for want of a right: the call, the plan and the command that it names.
fn missing_right(status: &Status) -> (String, String, String) {
    let refused = reading(status);
    assert_eq!(
        refused.kind(),
        (Code::PermissionDenied, "NOT_PERMITTED"),
        "{status:?}"
    );
    let named = |key: &str| refused.metadata(key).to_owned();
    (named("rpc"), named("plan_id"), named("command"))
}

#[track_caller]
fn is_refused(came: Came, rpc: &str, plan_id: &str, command: &str, what: &str) {
    match came {
        Ok(answer) => panic!("{what} was answered: {answer}"),
        Err(status) => {
            let expected = (rpc.to_owned(), plan_id.to_owned(), command.to_owned());
            assert_eq!(missing_right(&status), expected, "{what}");
        }
    }
}

/// The plans, as somebody makes them who may do everything.
async fn make(plan_id: &str, everybody: &Caller) {
    let request = format!(
        r#"{{"plan_id": "{plan_id}", "commands": [
            {{"create_plan": {{"title": "A plan"}}}},
            {{"adopt_strategy": {{"strategy_id": "s", "intent": "Win those who know us already"}}}},
            {{"add_tactic": {{"tactic_id": "t", "strategy_id": "s", "statement": "Hand out samples"}}}}
        ]}}"#
    );
    everybody.call("Execute", &request).await.expect("recorded");
}

/// Somebody of each role over [`MINE`] alone, then somebody of each role over all plans, then somebody
/// with all roles.
async fn with_roles(dir: &std::path::Path) -> (crate::daemon::Daemon, Vec<(Role, bool, Caller)>) {
    let mut grants = Vec::new();
    for (plans, kind) in [(MINE, "narrow"), ("*", "wide")] {
        for role in Role::ALL {
            grants.push((
                format!("{kind}-{}", role.name()),
                vec![(role.name(), plans)],
            ));
        }
    }
    grants.push((
        "everybody".to_owned(),
        Role::ALL.map(|role| (role.name(), "*")).to_vec(),
    ));
    let named: Vec<_> = grants
        .iter()
        .map(|(name, grants)| (name.as_str(), grants.clone()))
        .collect();
    let (daemon, mut callers) = asking(dir, &named).await;
    let everybody = callers.pop().expect("the last one");
    make(MINE, &everybody).await;
    make(OTHER, &everybody).await;
    let roles = Role::ALL.into_iter().chain(Role::ALL).zip(0..);
    let callers = roles
        .zip(callers)
        .map(|((role, number), caller)| (role, number >= Role::ALL.len(), caller));
    (daemon, callers.collect())
}

#[test]
fn the_table_of_rights_is_the_one_written_here() {
    assert_eq!(
        CALLS.map(|(rpc, _)| rpc),
        Rpc::ALL,
        "each call has its line"
    );
    for (rpc, roles) in CALLS {
        for role in Role::ALL {
            let expected = roles.contains(&role);
            assert_eq!(role.may_call(rpc), expected, "{role:?} {rpc:?}");
        }
        assert_eq!(rpc.needs_all_plans(), OVER_ALL.contains(&rpc), "{rpc:?}");
    }
    for command in all_commands() {
        let of_operators = COMMANDS_OF_OPERATORS.contains(&command.as_str());
        for role in Role::ALL {
            let expected = match role {
                Role::Planner => !of_operators,
                Role::Operator => of_operators,
                Role::Reader | Role::Auditor => false,
            };
            assert_eq!(role.may_command(&command), expected, "{role:?} {command}");
        }
    }
}

/// The names of all commands, from the published language.
fn all_commands() -> Vec<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the published language");
    let command = pool.get_message_by_name("strata.v1.Command");
    let command = command.expect("there is such a message");
    let commands: Vec<_> = command.fields().map(|it| it.name().to_owned()).collect();
    assert!(commands.len() >= 42, "{commands:?}");
    commands
}

#[tokio::test]
async fn every_role_makes_the_calls_of_the_table_with_its_plans_and_no_other() {
    let dir = tempdir().expect("a directory");
    let (_daemon, callers) = with_roles(dir.path()).await;
    for (role, is_wide, caller) in &callers {
        for (rpc, roles) in CALLS {
            let is_permitted = roles.contains(role);
            let name = rpc.path().rsplit('/').next().expect("a name");
            if let Some(request) = about_none(rpc) {
                let what = format!("{} {rpc:?} {request}", caller.name);
                let came = caller.call(name, request).await;
                if is_permitted && (*is_wide || !OVER_ALL.contains(&rpc)) {
                    is_answered(came, rpc, &what);
                } else {
                    is_refused(came, name, "", "", &what);
                }
            }
            for plan_id in [MINE, OTHER, ABSENT] {
                let Some(request) = about(rpc, plan_id, *role) else {
                    continue;
                };
                let what = format!("{} {rpc:?} {request}", caller.name);
                let came = caller.call(name, &request).await;
                if !is_permitted {
                    is_refused(came, name, "", "", &what);
                } else if plan_id == MINE || (*is_wide && plan_id == OTHER) {
                    is_answered(came, rpc, &what);
                } else if *is_wide {
                    // Whatever is said of a plan that does not exist, it is not about rights.
                    let is_refused = came.is_err_and(|it| it.code() == Code::PermissionDenied);
                    assert!(!is_refused, "{what}");
                } else {
                    is_refused(came, name, plan_id, "", &what);
                }
            }
        }
    }
}

/// A permitted call is answered, not just refused for another reason: but for a lapse of a commitment
/// that there is not.
#[track_caller]
fn is_answered(came: Came, rpc: Rpc, what: &str) {
    if let Err(status) = came {
        let is_lapse = matches!(rpc, Rpc::Execute | Rpc::ExecuteStream) && what.contains("lapse");
        let is_of_the_plan = is_lapse && status.code() == Code::NotFound;
        assert!(is_of_the_plan, "{what}: {status:?}");
    }
}

#[tokio::test]
async fn every_role_sends_the_commands_of_the_table_to_its_plans_and_no_other() {
    let dir = tempdir().expect("a directory");
    let (_daemon, callers) = with_roles(dir.path()).await;
    let commands = all_commands();
    let plans = [MINE, OTHER, ABSENT];
    let asked = plans.into_iter().flat_map(|plan_id| {
        let commands = commands.iter();
        commands.map(move |command| (plan_id, command.as_str()))
    });
    let asked: Vec<_> = asked.collect();
    let request = |plan_id: &str, command: &str| -> ExecuteRequest {
        let text = format!(
            r#"{{"plan_id": "{plan_id}", "validate_only": true, "commands": [{{"{command}": {{}}}}]}}"#
        );
        json::from_json(&text).expect("a request")
    };
    for (role, is_wide, caller) in &callers {
        let requests = asked.iter().map(|(plan_id, it)| request(plan_id, it));
        let streamed = caller.execute_all(requests.clone().collect()).await;
        if matches!(role, Role::Reader | Role::Auditor) {
            let refused = streamed.map(|_| String::new());
            is_refused(refused, "ExecuteStream", "", "", &caller.name);
            continue;
        }
        let streamed = streamed.expect("a stream");
        assert_eq!(streamed.len(), asked.len());
        for (((plan_id, command), request), streamed) in asked.iter().zip(requests).zip(streamed) {
            let what = format!("{} {plan_id} {command}", caller.name);
            let executed = caller.plans().execute(request).await;
            let executed = executed.map(|it| format!("{it:?}"));
            let is_of_role = COMMANDS_OF_OPERATORS.contains(command) == (*role == Role::Operator);
            let is_of_plan = *is_wide || *plan_id == MINE;
            for (came, rpc) in [(executed, "Execute"), (streamed, "ExecuteStream")] {
                if !is_of_plan {
                    is_refused(came, rpc, plan_id, "", &what);
                } else if !is_of_role {
                    is_refused(came, rpc, plan_id, command, &what);
                } else if let Err(status) = came {
                    assert_ne!(status.code(), Code::PermissionDenied, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_first_command_that_may_not_be_sent_refuses_the_whole_request() {
    let dir = tempdir().expect("a directory");
    let grants = vec![("planner", "mine*")];
    let (_daemon, callers) = asking(dir.path(), &[("ada", grants)]).await;
    let ada = &callers[0];
    let request = r#"{"plan_id": "mine", "commands": [
        {"create_plan": {"title": "A plan"}}, {"lapse_commitment": {}}, {"lapse_commitment": {}}
    ]}"#;
    let came = ada.call("Execute", request).await;
    is_refused(came, "Execute", "mine", "lapse_commitment", "a lapse");
    let came = ada.call("GetPlan", r#"{"plan_id": "mine"}"#).await;
    let status = came.expect_err("nothing was recorded");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn roles_hold_for_their_own_plans_and_the_caller_is_the_actor() {
    let dir = tempdir().expect("a directory");
    let ada = vec![("planner", "mine"), ("reader", "other")];
    let grants = [("ada", ada), ("grace", vec![("planner", "*")])];
    let (_daemon, callers) = asking(dir.path(), &grants).await;
    let [ada, grace] = &callers[..] else {
        panic!("two callers");
    };
    make("other", grace).await;
    let begun = r#"{"plan_id": "mine", "actor": "Charles", "commands": [{"create_plan": {"title": "A plan"}}]}"#;
    ada.call("Execute", begun).await.expect("recorded");
    let log = ada.call("ReadLog", "{}").await.expect("read");
    let shown = ada.call("ListEvents", r#"{"plan_id": "mine"}"#).await;
    let shown = shown.expect("listed");
    for said in [r#"actor: "ada""#, r#"on_behalf_of: "Charles""#] {
        assert!(shown.contains(said), "{shown}");
    }
    assert!(log.contains("grace") && log.contains("ada"), "{log}");
    let noted =
        r#"{"plan_id": "other", "commands": [{"record_note": {"subject": "plan", "text": "x"}}]}"#;
    let came = ada.call("Execute", noted).await;
    is_refused(
        came,
        "Execute",
        "other",
        "",
        "a note in a plan that is only read",
    );
    let came = ada.call("GetPlan", r#"{"plan_id": "other"}"#).await;
    came.expect("what is only read is read");
}
