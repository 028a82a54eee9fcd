//! A review is one walk along the events: the largest plan that is still read takes milliseconds.

use std::time::{Duration, Instant};

use super::*;

/// 5,000 events: 8 strategies, 512 tactics that fail again and again, 512 open commitments.
fn large() -> Moment {
    let strategies = (0..8).map(|n| {
        Kind::StrategyAdopted(proto::StrategyAdopted {
            intent: "Our strategy for next year will be to do more trade shows".into(),
            ..strategy(&format!("s{n}"))
        })
    });
    let tactics = (0..512).map(|n| {
        Kind::TacticAdded(proto::TacticAdded {
            statement: format!("Send sample {n} of what we make to those who have asked for it"),
            after_tactic_ids: if n > 9 {
                vec!["t1".into(), "t2".into()]
            } else {
                Vec::new()
            },
            ..tactic(&format!("t{n}"), &format!("s{}", n % 8))
        })
    });
    let commitments = (0..512).map(|n| promised(&format!("c{n}"), &format!("t{n}"), 9));
    let attempts = (1..).flat_map(|number| {
        (0..512).flat_map(move |n| {
            let id = format!("t{n}");
            [tried(&id, number), failed(&id, number)]
        })
    });
    let later = strategies.chain(tactics).chain(commitments).chain(attempts);
    let later = later.map(|kind| (1, kind));
    told(2, sound().into_iter().chain(later).take(5_000))
}

#[test]
fn a_review_of_a_large_plan_takes_milliseconds() {
    let moment = large();
    assert_eq!(moment.events.len(), 5_000);
    let fastest = (0..9).map(|_| {
        let started = Instant::now();
        let found = review(&moment).len();
        (started.elapsed(), found)
    });
    let (fastest, found) = fastest.min().expect("it was reviewed");
    eprintln!("{found} findings in {fastest:?}");
    assert!(found > 1_000, "{found}");
    assert_eq!(about(&moment, "STR001").len(), 8);
    let allowed = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 8 });
    assert!(fastest < allowed, "{fastest:?}");
}
