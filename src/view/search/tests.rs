//! Promises of searches: whichever way the index came to hold a commit, it finds at every position what
//! the events up to there say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use proptest::{collection::vec, prelude::*, sample::Index as Pick};

use super::{
    super::tests::{NO_CACHE, World},
    *,
};
use crate::{
    domain::{evolve, given, history::Recorded, plan::Tactic},
    journal::Journal as _,
    proto::{Failure, event::Kind},
};

const WORDS: [&str; 5] = ["trade", "shows", "mail", "calling", "letters"];

/// What somebody does next, with what is there.
#[derive(Debug, Clone)]
enum Act {
    AddTactic(bool),
    Reword(Pick),
    Regroup(Pick, bool),
    TryOrEnd(Pick, u8),
    Retire(Pick),
    Adopt,
    Revise(Pick, bool),
    Correct(Pick),
    Retract,
    Describe,
    Note,
}

fn act() -> impl Strategy<Value = (Act, String, bool)> {
    let act = prop_oneof![
        3 => any::<bool>().prop_map(Act::AddTactic),
        1 => any::<Pick>().prop_map(Act::Reword),
        1 => any::<(Pick, bool)>().prop_map(|(it, to)| Act::Regroup(it, to)),
        8 => any::<(Pick, u8)>().prop_map(|(it, how)| Act::TryOrEnd(it, how)),
        1 => any::<Pick>().prop_map(Act::Retire),
        1 => Just(Act::Adopt),
        1 => any::<(Pick, bool)>().prop_map(|(it, retires)| Act::Revise(it, retires)),
        2 => any::<Pick>().prop_map(Act::Correct),
        1 => Just(Act::Retract),
        1 => Just(Act::Describe),
        1 => Just(Act::Note),
    ];
    let text = vec(prop::sample::select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "));
    (act, text, any::<bool>())
}

fn pick<T: Clone>(items: impl IntoIterator<Item = T>, pick: Pick) -> Option<T> {
    let items: Vec<_> = items.into_iter().collect();
    (!items.is_empty()).then(|| pick.get(&items).clone())
}

/// The event that an act comes to; nothing where it makes no sense.
fn kind(act: &Act, text: String, plan: &Plan, history: &[proto::Event]) -> Option<Kind> {
    let strategy = || {
        let strategy = plan.strategies.keys().next_back();
        strategy.map(Id::to_string).unwrap_or_default()
    };
    let live = || plan.tactics.values().filter(|it| it.retired.is_none());
    let idle = || live().filter(|it| it.open_attempt().is_none());
    let id = |tactic: Arc<Tactic>| tactic.tactic_id.to_string();
    Some(match act {
        Act::AddTactic(serves) => Kind::TacticAdded(proto::TacticAdded {
            tactic_id: format!("t{}", plan.tactics.len()),
            strategy_id: serves.then(strategy).unwrap_or_default(),
            statement: text,
            ..Default::default()
        }),
        Act::Reword(which) => Kind::TacticReworded(proto::TacticReworded {
            tactic_id: id(pick(idle().cloned(), *which)?),
            statement: text,
            ..Default::default()
        }),
        Act::Regroup(which, to) => Kind::TacticRegrouped(proto::TacticRegrouped {
            tactic_id: id(pick(idle().cloned(), *which)?),
            strategy_id: to.then(strategy).unwrap_or_default(),
        }),
        Act::TryOrEnd(which, how) => {
            let tactic = pick(live().cloned(), *which)?;
            let tactic_id = tactic.tactic_id.to_string();
            let Some(attempt) = tactic.open_attempt().map(|it| it.attempt) else {
                return Some(Kind::TacticTried(proto::TacticTried {
                    tactic_id,
                    attempt: tactic.attempts_recorded + 1,
                    reason: if how % 2 == 0 { String::new() } else { text },
                    ..Default::default()
                }));
            };
            ended(tactic_id, attempt, *how, text)
        }
        Act::Retire(which) => Kind::TacticRetired(proto::TacticRetired {
            tactic_id: id(pick(idle().cloned(), *which)?),
            reason: text,
        }),
        Act::Adopt => Kind::StrategyAdopted(proto::StrategyAdopted {
            strategy_id: format!("s{}", plan.strategies.len()),
            intent: text,
            ..Default::default()
        }),
        Act::Revise(which, retires) => {
            let strategy = pick(plan.strategies.values().cloned(), *which)?;
            let ended = idle().find(|it| it.strategy_id.as_ref() == Some(&strategy.strategy_id));
            let ended = ended.filter(|_| *retires);
            Kind::StrategyRevised(proto::StrategyRevised {
                strategy_id: strategy.strategy_id.to_string(),
                strategy_revision: strategy.revision + 1,
                intent: text.clone(),
                reason: format!("{text} {text}"),
                retire_tactic_ids: ended
                    .map(|it| it.tactic_id.to_string())
                    .into_iter()
                    .collect(),
                ..Default::default()
            })
        }
        Act::Correct(which) => {
            let event = pick(
                history.iter().filter(|it| !evolve::is_amendment(it)),
                *which,
            )?;
            let mut corrected =
                given::corrected(event.revision, reworded(event.kind.clone()?, text)?);
            if let Kind::EventCorrected(it) = &mut corrected {
                it.occurred_at = plan.revision.is_multiple_of(2).then(|| given::at(-9));
            }
            corrected
        }
        Act::Retract => {
            let last = history.last()?;
            let of_attempt = matches!(
                last.kind,
                Some(
                    Kind::TacticTried(_)
                        | Kind::TacticFailed(_)
                        | Kind::TacticSucceeded(_)
                        | Kind::TacticStopped(_)
                )
            );
            of_attempt.then(|| given::retracted(last.revision))?
        }
        Act::Describe => Kind::PlanDescribed(proto::PlanDescribed {
            title: text,
            ..Default::default()
        }),
        Act::Note => Kind::NoteRecorded(proto::NoteRecorded {
            subject: "plan".into(),
            text,
        }),
    })
}

/// The end of an attempt.
fn ended(tactic_id: String, attempt: u32, how: u8, text: String) -> Kind {
    match how % 3 {
        0 => Kind::TacticFailed(proto::TacticFailed {
            tactic_id,
            attempt,
            failure: Failure::Effect.into(),
            observed: text,
            ..Default::default()
        }),
        1 => Kind::TacticSucceeded(proto::TacticSucceeded {
            tactic_id,
            attempt,
            observed: text,
        }),
        _ => Kind::TacticStopped(proto::TacticStopped {
            tactic_id,
            attempt,
            reason: text,
            inconclusive: true,
        }),
    }
}

/// The same kind with another text, where it has one that is searched.
fn reworded(mut kind: Kind, text: String) -> Option<Kind> {
    if let Kind::TacticAdded(it) = &mut kind {
        it.statement = text;
    } else if let Kind::PlanDescribed(it) = &mut kind {
        it.title = text;
    } else if let Kind::TacticReworded(it) = &mut kind {
        it.statement = text;
    } else if let Kind::TacticTried(it) = &mut kind {
        it.reason = text;
    } else if let Kind::TacticFailed(it) = &mut kind {
        it.observed = text;
    } else if let Kind::StrategyAdopted(it) = &mut kind {
        it.intent = text;
    } else if let Kind::StrategyRevised(it) = &mut kind {
        it.reason = text;
    } else {
        return None;
    }
    Some(kind)
}

/// Two plans, and what was committed to each at which position.
struct Past {
    world: World,
    events: Vec<(u64, &'static str, proto::Event)>,
}

impl Past {
    fn of(acts: Vec<(Act, String, bool)>, each: impl Fn(&World)) -> Self {
        let mut past = Self {
            world: World::new(NO_CACHE),
            events: Vec::new(),
        };
        past.commit("growth", given::created());
        past.commit("bakery", given::created());
        for (act, text, first) in acts {
            let plan_id = if first { "growth" } else { "bakery" };
            let history = past.history(plan_id, u64::MAX);
            let plan = evolve::fold(plan_id.into(), &history);
            if let Some(kind) = kind(&act, text, &plan, &history) {
                past.commit(plan_id, kind);
                each(&past.world);
            }
        }
        past
    }

    fn commit(&mut self, plan_id: &'static str, kind: Kind) {
        let revision = self.history(plan_id, u64::MAX).len() as u64 + 1;
        let event = given::event(revision, kind);
        self.world.commit(plan_id, vec![event.clone()]);
        self.events
            .push((self.world.journal.head(), plan_id, event));
    }

    fn history(&self, plan_id: &str, until: u64) -> Vec<proto::Event> {
        let of_plan = self
            .events
            .iter()
            .filter(|(at, id, _)| *id == plan_id && *at <= until);
        of_plan.map(|(_, _, event)| event.clone()).collect()
    }

    /// The words of each tactic at a position, from the events alone.
    fn told(&self, plan_id: &str, until: u64) -> (Plan, BTreeMap<Id, BTreeSet<String>>) {
        let history = self.history(plan_id, until);
        let plan = evolve::fold(plan_id.into(), &history);
        let recorded: Vec<_> = history.into_iter().map(recorded).collect();
        let mut restated = BTreeMap::new();
        let mut added = Vec::new();
        let standing = evolve::standing(&recorded);
        for kind in standing.iter().filter_map(|it| it.event.kind.as_ref()) {
            for said in passages::told(kind).said {
                let owner = match said.about {
                    passages::About::Tactic(id) => (true, id),
                    passages::About::Strategy(id) => (false, id),
                };
                if said.field.is_restated() {
                    restated.insert(owner, said.text);
                } else {
                    added.push((owner, said.text));
                }
            }
        }
        let texts = || {
            restated
                .iter()
                .map(|(owner, text)| (*owner, *text))
                .chain(added.clone())
        };
        let told = plan.tactics.values().map(|tactic| {
            let of_it = |owner: (bool, &str)| match owner {
                (true, id) => *tactic.tactic_id == *id,
                (false, id) => tactic.strategy_id.as_deref() == Some(id),
            };
            let said = texts().filter(|(owner, _)| of_it(*owner));
            let words = said.flat_map(|(_, text)| terms(text)).collect();
            (tactic.tactic_id.clone(), words)
        });
        let told = told.collect();
        (plan, told)
    }

    /// Checks that at every position every query finds what it should.
    fn is_found(&self) {
        for position in 1..=self.world.journal.head() {
            for query in ["trade", "show", "mail", "call letter", "trade mail show"] {
                self.is_found_at(query, position);
            }
        }
    }

    fn is_found_at(&self, query: &str, position: u64) {
        let terms = terms(query);
        let mut expected = BTreeSet::new();
        let mut plans = BTreeMap::new();
        for plan_id in ["growth", "bakery"] {
            let (plan, told) = self.told(plan_id, position);
            let found = told
                .iter()
                .filter(|(_, words)| terms.iter().all(|it| words.contains(it)));
            expected.extend(found.map(|(id, _)| (Id::from(plan_id), id.clone())));
            plans.insert(Id::from(plan_id), plan);
        }
        let found = search(&self.world, query, Some(position));
        let mut ids = BTreeSet::new();
        let mut texts = Texts::new(self.world.view());
        for hit in &found.hits {
            ids.insert((hit.plan_id.clone(), hit.tactic_id.clone()));
            let plan = &plans[&hit.plan_id];
            let tactic = &plan.tactics[&hit.tactic_id];
            assert_eq!(hit.state, State::of(tactic), "{query} at {position}");
            assert_eq!(hit.description.title, plan.description.title);
            assert_eq!(hit.strategy_id, tactic.strategy_id);
            let statement = texts.read(hit.statement.as_ref()).expect("read");
            assert_eq!(statement, tactic.statement, "{query} at {position}");
            let repeats = |at: &TextAt| hit.matches.iter().filter(|it| *it == at).count() > 1;
            assert!(!hit.matches.is_empty() && !hit.matches.iter().any(repeats));
        }
        assert_eq!(ids, expected, "{query} at {position}");
    }
}

fn recorded(event: proto::Event) -> Arc<Recorded> {
    let recorded_at = given::at(0).into();
    Arc::new(Recorded::new(0, recorded_at, "".into(), "".into(), event))
}

fn search(world: &World, query: &str, as_of: Option<u64>) -> Found {
    let query = Query {
        terms: terms(query),
        as_of,
        limit: 1_000,
        ..Query::default()
    };
    world.view().search_tactics(&query).expect("found")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_position_finds_what_the_events_up_to_it_say(acts in vec(act(), 1..40), again in any::<Pick>()) {
        // Told of each commit, at once or a few at a time.
        let reads_at = again.index(4) as u64 + 1;
        let mut past = Past::of(acts, |world| {
            if world.journal.head().is_multiple_of(reads_at) {
                search(world, "trade", None);
            }
        });
        past.is_found();
        // Read from the log after a start.
        past.world.write();
        past.world.reopen();
        past.is_found();
    }

    #[test]
    fn what_does_not_fit_into_memory_is_read_from_the_log(acts in vec(act(), 1..40), often in 1_u64..5) {
        let past = Past::of(acts, |world| {
            search(world, "trade", None);
            if world.journal.head().is_multiple_of(often) {
                world.view().search.waiting().fresh_bytes = usize::MAX / 2;
            }
        });
        past.is_found();
    }
}

fn experience() -> World {
    let mut world = World::new(NO_CACHE);
    let events = given::history([
        given::created(),
        given::strategy("s"),
        given::tactic("t", "s"),
        given::tried("t", 1),
    ]);
    world.commit("growth", events);
    world
}

#[test]
fn a_thread_keeps_the_index_up_to_the_log_until_it_is_stopped() {
    let mut world = experience();
    let view = world.view();
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| view.keep_searchable());
        let mut waiting = view.search.waiting();
        while waiting.reached == 0 {
            waiting = view.search.wait(waiting, Duration::from_secs(60));
        }
        drop(waiting);
        view.stop_writing();
        kept.join().expect("no panic");
    });
    assert_eq!(search(&world, "samples", None).total, 1);
    world.note("growth");
    let refused = world.view().search_tactics(&Query::default());
    assert!(
        matches!(refused, Err(ViewError::Interrupted)),
        "nobody takes in what came later"
    );
}

#[test]
fn a_search_that_is_asked_when_a_commit_is_told_of_finds_it() {
    let world = experience();
    assert_eq!(search(&world, "samples", None).position, 1);
    world.append("growth");
    let (view, head) = (world.view(), world.journal.head());
    std::thread::scope(|scope| {
        let (answer, answered) = mpsc::channel();
        let mut soon = None;
        let followed = view.follow(|_| {
            let answer = answer.clone();
            scope.spawn(move || {
                let found = view.search_tactics(&Query::default());
                answer.send(found.expect("searchable").position)
            });
            // Publishing waits for it, unless it waits for publishing.
            soon = answered.recv_timeout(Duration::from_millis(100)).ok();
        });
        followed.expect("followed");
        let found = soon.unwrap_or_else(|| answered.recv().expect("an answer"));
        assert_eq!(found, head);
    });
}

#[test]
fn a_search_does_not_wait_for_ever_for_an_index_that_is_being_made() {
    let world = experience();
    let _making = world.view().search.taking_in.lock().expect("free");
    let refused = world.view().search_tactics(&Query::default());
    assert!(matches!(refused, Err(ViewError::NotSearchable)));
}

#[test]
fn a_search_that_nobody_waits_for_any_more_stops_wherever_it_is() {
    let world = experience();
    assert_eq!(search(&world, "samples", None).total, 1);
    let asked_until = |end: usize, permits: Permits| {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let query = Query {
            terms: terms("samples"),
            permits,
            limit: 10,
            wanted: Wanted::while_true(move || count.fetch_add(1, Ordering::Relaxed) < end),
            ..Query::default()
        };
        let outcome = world.view().search_tactics(&query);
        (outcome, asked.load(Ordering::Relaxed))
    };
    for permits in [Permits::all(), Permits::only(|_| true)] {
        let (found, asks) = asked_until(usize::MAX, permits.clone());
        found.expect("it is wanted to the end");
        for end in 0..asks {
            let (outcome, asked) = asked_until(end, permits.clone());
            assert!(matches!(outcome, Err(ViewError::Interrupted)));
            assert_eq!(asked, end + 1, "it goes on unasked");
        }
        // What is looked at for a caller of some plans is asked about as well: plans, and texts.
        assert!(asks >= if permits.is_all() { 2 } else { 4 }, "{asks}");
    }
}

#[test]
fn hits_that_match_alike_come_in_the_order_of_plans_and_tactics() {
    let mut world = World::new(NO_CACHE);
    for plan_id in ["b", "c", "a"] {
        let kinds = [
            given::created(),
            given::tactic("u", ""),
            given::tactic("t", ""),
        ];
        world.commit(plan_id, given::history(kinds));
    }
    let found = search(&world, "samples", None);
    let ids = found
        .hits
        .iter()
        .map(|it| format!("{}/{}", it.plan_id, it.tactic_id));
    assert_eq!(
        ids.collect::<Vec<_>>(),
        ["a/t", "a/u", "b/t", "b/u", "c/t", "c/u"]
    );
    assert!(found.hits.iter().all(|it| it.score > 0.0));
    assert_eq!(found.hits[0].state.state, TacticState::Untried);
}
