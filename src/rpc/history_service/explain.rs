//! `Explain`: why, as a graph of events.

use tonic::{Response, Status};

use crate::{
    domain::{
        explain::{self, Elsewhere, Limits, Other, Target},
        history::Moment,
        permits::Permits,
        review::{
            Review,
            codes::{self, Code},
        },
        sight,
        value::{Id, Subject},
    },
    proto::{
        ErrorReason, ExplainRequest, ExplainResponse, Finding, FindingLevel, FindingTarget,
        explain_request,
    },
    rpc::{
        Core, as_of, call,
        gate::Caller,
        query::Checks,
        status::{self, of_view, quoted, with_metadata},
    },
    view::ViewError,
};

/// How many steps are followed when it is not said.
const DEPTH_DEFAULT: u32 = 32;
/// The most steps that are followed.
const DEPTH_MAX: u32 = 64;
/// How many events are shown when it is not said.
const EVENTS_DEFAULT: u32 = 256;
/// The most events that are shown.
const EVENTS_MAX: u32 = 1_000;
/// What the events may take of an answer, in bytes: a line of sight has room beside them.
const EVENTS_BYTES_MAX: usize = 1 << 20;

/// What is asked about, checked.
enum Asked {
    Target(Target),
    Finding(FindingTarget),
}

/// Answers why.
pub(super) async fn answer(
    caller: &Caller<'_>,
    query: ExplainRequest,
) -> Result<Response<ExplainResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &query.plan_id);
    let point = check.point("as_of", query.as_of);
    let limits = Limits {
        depth: bounded(
            &mut check,
            "max_depth",
            query.max_depth,
            DEPTH_DEFAULT,
            DEPTH_MAX,
        ),
        events: bounded(
            &mut check,
            "max_events",
            query.max_events,
            EVENTS_DEFAULT,
            EVENTS_MAX,
        ) as usize,
        bytes: EVENTS_BYTES_MAX,
    };
    let target = target(&mut check, query.target);
    check.finish()?;
    let plan = caller.plan(&query.plan_id)?;
    let core = caller.core_at(query.min_position).await?;
    let permits = caller.permits();
    let answer = as_of::ask(core, plan, point, move |core, at| {
        let Some(target) = target else {
            return Err(status::malformed_field("target", "required"));
        };
        let mut answer = explain(core, &permits, &at, target, limits)?;
        answer.position = at.position;
        answer.inside_commit = at.inside_commit;
        Ok(answer)
    });
    Ok(Response::new(answer.await?))
}

/// What may be told of a plan. Reads disks.
pub(super) fn told_of(core: &Core, permits: &Permits, plan_id: &str) -> Result<Other, ViewError> {
    call::go_on()?;
    if !permits.hold(plan_id) {
        return Ok(Other::Hidden);
    }
    match core.view.load(plan_id)? {
        Some((folded, _)) => core.view.history(&folded).map(Other::Told),
        None => Ok(Other::Absent),
    }
}

fn explain(
    core: &Core,
    permits: &Permits,
    at: &as_of::Asked,
    asked: Asked,
    limits: Limits,
) -> Result<ExplainResponse, Status> {
    let moment = &at.moment;
    let (roots, line_of_sight, finding) = match asked {
        Asked::Target(target) => {
            let roots = explain::roots(moment, &target).ok_or_else(|| missing(&target))?;
            let line_of_sight = match &target {
                Target::Subject(subject) => sight::line_of_sight(&moment.plan, subject),
                Target::Revision(_) | Target::StrategyRevision { .. } => None,
            };
            (roots, line_of_sight, None)
        }
        Asked::Finding(target) => {
            let finding = find(&at.review(core), moment, &target)?;
            let own = finding.events.iter();
            let own = own.filter(|event| *event.plan_id == *moment.plan.plan_id);
            let mut roots: Vec<u64> = own.map(|event| event.revision).collect();
            roots.sort_unstable();
            (roots, None, Some(finding))
        }
    };
    let elsewhere = Elsewhere {
        history: &|plan_id| told_of(core, permits, plan_id),
        citing: &|plan_id| {
            let mut citing = core.view.citing(plan_id, moment.position);
            citing.retain(|citation| permits.hold(&citation.plan_id));
            citing
        },
    };
    let explanation = explain::explain(moment, &roots, limits, &elsewhere);
    let explanation = explanation.map_err(|error| of_view(&error))?;
    // A finding names the last of the events behind it only.
    let is_cut = finding
        .as_ref()
        .is_some_and(|finding| finding.event_count as usize > finding.events.len());
    Ok(ExplainResponse {
        events: explanation.events,
        links: explanation.links,
        truncated: explanation.truncated || is_cut,
        truncated_at: explanation.truncated_at,
        line_of_sight,
        finding,
        ..ExplainResponse::default()
    })
}

/// The finding of the review that is asked about.
fn find(review: &Review, moment: &Moment, target: &FindingTarget) -> Result<Finding, Status> {
    let is_meant = |code: &Code, _: FindingLevel, subject: &Subject| {
        code.name == target.code && subject.to_string() == target.subject
    };
    review.findings(moment, is_meant).next().ok_or_else(|| {
        let FindingTarget { code, subject } = target;
        with_metadata(
            ErrorReason::SubjectNotFound,
            format!(
                "The review has no finding {code} about `{subject}` at that point: ReviewPlan \
                 lists those it has."
            ),
            [("subject".to_owned(), format!("{code}:{subject}"))].into(),
        )
    })
}

/// A number within its bounds; 0 asks for the default.
fn bounded(check: &mut Checks, field: &'static str, asked: u32, default: u32, max: u32) -> u32 {
    if asked > max {
        check.fault(field, format!("{asked} is more than {max}"));
    }
    if asked == 0 { default } else { asked }
}

fn target(check: &mut Checks, asked: Option<explain_request::Target>) -> Option<Asked> {
    match asked {
        None => {
            check.fault(
                "target",
                "required: say a revision, a strategy_revision, a subject or a finding",
            );
            None
        }
        Some(explain_request::Target::Revision(0)) => {
            check.fault("revision", "revisions start at 1");
            None
        }
        Some(explain_request::Target::Revision(revision)) => {
            Some(Asked::Target(Target::Revision(revision)))
        }
        Some(explain_request::Target::StrategyRevision(it)) => {
            check.id("strategy_revision.strategy_id", &it.strategy_id);
            Some(Asked::Target(Target::StrategyRevision {
                strategy_id: Id::from(it.strategy_id.as_str()),
                revision: it.revision,
            }))
        }
        Some(explain_request::Target::Subject(text)) => {
            let subject = subject(check, "subject", &text)?;
            Some(Asked::Target(Target::Subject(subject)))
        }
        Some(explain_request::Target::Finding(it)) => {
            if codes::code(&it.code).is_none() {
                let wrong = format!(
                    "a code of the review, such as TAC001; found {}",
                    quoted(&it.code)
                );
                check.fault("finding.code", wrong);
            }
            subject(check, "finding.subject", &it.subject)?;
            Some(Asked::Finding(it))
        }
    }
}

fn subject(check: &mut Checks, field: &'static str, text: &str) -> Option<Subject> {
    let subject = Subject::parse(text);
    if subject.is_none() {
        let description = format!(
            "plan, objective, or strategies/, tactics/, assumptions/, indicators/ or \
             commitments/ and an id; found {}",
            quoted(text)
        );
        check.fault(field, description);
    }
    subject
}

/// The refusal of a target that the plan does not have at the point asked for.
fn missing(target: &Target) -> Status {
    match target {
        Target::Revision(revision) => with_metadata(
            ErrorReason::RevisionNotFound,
            format!("The plan has no event of revision {revision} at that point: mend the number."),
            [("revision".to_owned(), revision.to_string())].into(),
        ),
        Target::StrategyRevision {
            strategy_id,
            revision: 0,
        } => status::no_subject(&format!("strategies/{strategy_id}")),
        Target::StrategyRevision {
            strategy_id,
            revision,
        } => status::no_subject(&format!("strategies/{strategy_id}@{revision}")),
        Target::Subject(subject) => status::no_subject(&subject.to_string()),
    }
}
