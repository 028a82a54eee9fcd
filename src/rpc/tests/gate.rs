//! Promises of the gate: who comes through, and for what.

use std::sync::Arc;

use tonic::Code;
use tonic_types::StatusExt as _;

use super::{World, by, refusal, refused};
use crate::{
    access::{
        Grant, Principal,
        pattern::Pattern,
        rights::{Role, Rpc},
    },
    proto::{
        Cause, Command, CreatePlan, ExecuteRequest, GetPlanRequest, WatchRequest, command::Kind,
        plan_service_server::PlanService,
    },
    rpc::{
        noted::{self, Slip},
        plan_service::Plans,
    },
};

fn somebody(grants: &[(Role, &[&str])]) -> Principal {
    let pattern = |text: &&str| text.parse::<Pattern>().expect("a pattern");
    let grant = |(role, plans): &(Role, &[&str])| Grant {
        role: *role,
        plans: plans.iter().map(pattern).collect(),
    };
    Principal::new("ada", grants.iter().map(grant).collect())
}

#[tokio::test]
async fn nobody_comes_through_of_whom_it_is_not_known_who_they_are() {
    let world = World::new();
    for rpc in Rpc::ALL {
        let request = tonic::Request::new(());
        let answer = world.gate.caller(&request, rpc).map(|_| ());
        let expected = refusal(Code::Unauthenticated, "CREDENTIALS_REQUIRED");
        assert_eq!(refused(answer), expected, "{rpc:?}");
    }
    let request = tonic::Request::new(GetPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    });
    let answer = Plans::new(world.gate.clone()).get_plan(request).await;
    assert_eq!(refused(answer).0, Code::Unauthenticated);
}

#[tokio::test]
async fn somebody_without_a_role_comes_through_for_nothing() {
    let world = World::new();
    for rpc in Rpc::ALL {
        let answer = world.gate.caller(&by(&somebody(&[]), ()), rpc).map(|_| ());
        let expected = refusal(Code::PermissionDenied, "NOT_PERMITTED");
        assert_eq!(refused(answer), expected, "{rpc:?}");
    }
}

#[tokio::test]
async fn what_a_call_names_is_noted_also_where_its_caller_may_not_make_it() {
    let world = World::new();
    let execute = ExecuteRequest {
        plan_id: "growth".into(),
        request_id: "1".into(),
        ..Default::default()
    };
    let watch = WatchRequest {
        plan_ids: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let nobody = somebody(&[]);
    let slip = Arc::<Slip>::default();
    let notes = noted::on(slip.clone(), async {
        let request = by(&nobody, execute);
        let refusal = refused(world.gate.caller(&request, Rpc::Execute).map(|_| ()));
        assert_eq!(refusal.0, Code::PermissionDenied);
        let executed = slip.take();
        let request = by(&nobody, watch);
        let refusal = refused(world.gate.caller(&request, Rpc::Watch).map(|_| ()));
        assert_eq!(refusal.0, Code::PermissionDenied);
        (executed, slip.take())
    });
    let (executed, watched) = notes.await;
    assert_eq!(executed.plan_id.as_deref(), Some("growth"));
    assert_eq!(executed.request_id.as_deref(), Some("1"));
    assert_eq!(watched.about().as_deref(), Some("a, b, c, d and 1 more"));
}

#[test]
fn what_may_be_done_with_a_plan_is_what_the_scope_holds() {
    let callers = [
        somebody(&[]),
        somebody(&[
            (Role::Reader, &["growth", "re*"]),
            (Role::Planner, &["retreat"]),
        ]),
        somebody(&[
            (Role::Auditor, &["*"]),
            (Role::Operator, &["*-2", "growth"]),
        ]),
        Principal::anonymous(),
    ];
    for caller in &callers {
        for plan_id in ["growth", "growth-2", "retreat", "rest", "other"] {
            for rpc in Rpc::ALL {
                let expected = caller.scope(rpc).holds(plan_id);
                assert_eq!(caller.may(rpc, plan_id), expected, "{caller:?} {rpc:?}");
                assert_eq!(caller.may_with_all(rpc), caller.scope(rpc).is_all());
            }
            for command in ["create_plan", "lapse_commitment", "no_such_command"] {
                let expected = caller.scope_of_command(command).holds(plan_id);
                let may = caller.may_command(command, plan_id);
                assert_eq!(may, expected, "{caller:?} {command} {plan_id}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_names_what_it_lacks_a_right_for_before_anything_else_is_said() {
    let world = World::new();
    let ada = somebody(&[(Role::Planner, &["growth"]), (Role::Operator, &["retreat"])]);
    let create = || Command {
        kind: Some(Kind::CreatePlan(CreatePlan::default())),
    };
    let cause = |plan_id: &str| Cause {
        plan_id: plan_id.into(),
        revision: 1,
        ..Default::default()
    };
    let request = |plan_id: &str, because: Vec<Cause>| ExecuteRequest {
        plan_id: plan_id.into(),
        commands: vec![Command { kind: None }, create()],
        because,
        ..Default::default()
    };
    let named = |request: &ExecuteRequest| {
        let message = by(&ada, ());
        let caller = world
            .gate
            .caller(&message, Rpc::Execute)
            .expect("permitted");
        let checked = caller.rights().check_execute(request);
        checked.map_err(|status| {
            let metadata = status.get_details_error_info().expect("a reason").metadata;
            let named = |key: &str| metadata.get(key).cloned().unwrap_or_default();
            (named("plan_id"), named("command"))
        })
    };
    let lacks = |plan_id: &str, command: &str| Err((plan_id.to_owned(), command.to_owned()));
    assert_eq!(
        named(&request("growth", vec![cause(""), cause("growth")])),
        Ok(())
    );
    assert_eq!(named(&request("other", Vec::new())), lacks("other", ""));
    assert_eq!(
        named(&request("retreat", Vec::new())),
        lacks("retreat", "create_plan")
    );
    // An operator sends commands to the plan and does not read it.
    let cited = request("growth", vec![cause("retreat")]);
    assert_eq!(named(&cited), lacks("retreat", ""));
    // What is no id is refused by the shape of the request.
    for no_id in ["", "No Id"] {
        assert_eq!(named(&request(no_id, Vec::new())), Ok(()));
    }
    assert_eq!(named(&request("growth", vec![cause("No Id")])), Ok(()));
}
