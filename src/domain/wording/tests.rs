//! What the scorer promises: of the sentences it was built on, of sentences it never saw, and of any
//! text at all.

use proptest::prelude::*;

use super::*;

const BUILT_ON: &str = include_str!("../../../tests/fixtures/wording/built-on.tsv");

/// From public plans and lists, labelled by reading before anything was scored.
const HELD_OUT: &str = include_str!("../../../tests/fixtures/wording/held-out.tsv");

/// Rows of label and sentence; a line that begins with `#` is a remark.
fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let mut columns = line.split('\t');
            let label = columns.next().expect("a label");
            (label, columns.next().expect("a sentence"))
        })
}

/// How well the flags of a table fit its labels.
#[derive(Default)]
struct Tally {
    rightly: u32,
    wrongly: u32,
    missed: u32,
    rightly_not: u32,
    errors: Vec<String>,
}

impl Tally {
    fn of(table: &'static str) -> Self {
        let mut tally = Self::default();
        for (label, sentence) in rows(table) {
            let wording = wording(sentence);
            let count = match (label, wording.reads_as_tactic) {
                ("tactic", true) => &mut tally.rightly,
                ("tactic", false) => &mut tally.missed,
                ("strategy", true) => &mut tally.wrongly,
                ("strategy", false) => &mut tally.rightly_not,
                (other, _) => panic!("no such label: {other}"),
            };
            *count += 1;
            if (label == "tactic") != wording.reads_as_tactic {
                let hits: Vec<_> = wording
                    .hits
                    .iter()
                    .map(|hit| format!("{} {:?} {:+.2}", hit.text, hit.class, hit.weight))
                    .collect();
                let line = format!("{label} {:.2} {sentence} {hits:?}", wording.score);
                tally.errors.push(line);
            }
        }
        eprintln!(
            "flagged rightly {}, wrongly {}; missed {}, rightly not flagged {}; precision {:.3}, \
             recall {:.3}\n{}",
            tally.rightly,
            tally.wrongly,
            tally.missed,
            tally.rightly_not,
            tally.precision(),
            tally.recall(),
            tally.errors.join("\n"),
        );
        tally
    }

    fn precision(&self) -> f64 {
        f64::from(self.rightly) / f64::from(self.rightly + self.wrongly)
    }

    fn recall(&self) -> f64 {
        f64::from(self.rightly) / f64::from(self.rightly + self.missed)
    }
}

#[test]
fn of_what_it_was_built_on_it_flags_nothing_wrongly_and_most_of_what_it_should() {
    let tally = Tally::of(BUILT_ON);
    assert_eq!(tally.wrongly, 0);
    assert!(tally.recall() >= 0.7);
}

#[test]
fn of_sentences_it_never_saw_nine_in_ten_that_it_flags_are_tactics() {
    let tally = Tally::of(HELD_OUT);
    assert!(tally.rightly >= 20, "too few to tell");
    assert!(tally.precision() >= 0.9);
    // Most tactics pass unseen: a remark that is wrong costs more than one that is missing.
    assert!(tally.recall() >= 0.25);
}

#[test]
fn what_it_was_built_on_is_not_among_what_it_is_tried_on() {
    let built_on: Vec<_> = rows(BUILT_ON).map(|(_, sentence)| sentence).collect();
    assert!(rows(HELD_OUT).count() >= 120);
    for (_, sentence) in rows(HELD_OUT) {
        assert!(!built_on.contains(&sentence), "{sentence}");
    }
}

#[test]
fn an_action_stated_as_a_strategy_reads_as_a_tactic() {
    for text in [
        "our strategy for next year will be to do more trade shows",
        "send the top 10 a free product sample",
        "exercise 30 minutes a day",
        "list of 30 accounts and a tailored email",
        "run a webinar every month",
    ] {
        let wording = wording(text);
        assert!(wording.reads_as_tactic, "{text}: {wording:#?}");
    }
}

#[test]
fn an_intention_does_not_read_as_a_tactic() {
    for text in [
        "expand into new geographic territories with our new product",
        "engage industry thought-leaders to become advocates",
        "close more deals by targeting our ideal client profile",
        "take care of my body by achieving a weight within my BMI",
        "Interrupt transmission by vaccinating the whole population",
        "Win accounts one at a time",
        // How far and in which order, but no action that somebody could be seen to have done.
        "vaccinate everybody, half of the districts of each state at a time",
    ] {
        let wording = wording(text);
        assert!(!wording.reads_as_tactic, "{text}: {wording:#?}");
    }
}

#[test]
fn the_intents_of_a_real_plan_do_not_read_as_tactics() {
    let plan = include_str!("../../../tests/fixtures/smallpox-india.jsonl");
    let mut intents = 0;
    for piece in plan.split("\"intent\": \"").skip(1) {
        let intent = piece.split('"').next().expect("its end");
        assert!(!wording(intent).reads_as_tactic, "{:#?}", wording(intent));
        intents += 1;
    }
    assert_eq!(intents, 4);
}

#[test]
fn every_hit_says_where_it_stands_and_the_score_is_their_sum() {
    let text = "Bestés: our plan is to send 30 “naïve” leaflets each week";
    let wording = wording(text);
    let hits: Vec<_> = wording
        .hits
        .iter()
        .map(|hit| (hit.class, hit.text.as_str(), hit.start, hit.end))
        .collect();
    assert_eq!(
        hits,
        [
            (HitClass::ActionVerb, "send", 23, 27),
            (HitClass::Quantity, "30", 28, 30),
            (HitClass::Artefact, "leaflets", 39, 47),
            (HitClass::Cadence, "each week", 48, 57),
        ]
    );
    let framed = super::wording("Our plan is to send 30 leaflets each week");
    let classes: Vec<_> = framed.hits.iter().map(|hit| hit.class).collect();
    assert_eq!(classes[..2], [HitClass::Frame, HitClass::ActionVerb]);
    assert_eq!(framed.hits[0].text, "Our plan is to");
    assert!(framed.hits[0].weight.abs() < f64::EPSILON);
}

#[test]
fn a_text_in_another_language_says_nothing() {
    for text in [
        "Jede Woche 3 Newsletter an 500 Kunden per E-Mail senden",
        "Envoyer 3 newsletters et 2 brochures chaque semaine sur Facebook et Instagram",
        "Publicar 3 videos en Instagram y 2 posts en Facebook cada semana",
        "Enviar 20 e-mails por dia e fazer um webinar",
        "毎月ウェビナーを2回開催する",
        "Hantar 10 sampel percuma dan 3 video ke Facebook",
    ] {
        let wording = wording(text);
        assert!(wording.hits.is_empty(), "{text}: {wording:#?}");
        assert!(wording.score.abs() < f64::EPSILON);
        assert!(!wording.reads_as_tactic);
    }
}

/// Texts like those people write, of words the scorer knows and of anything else.
fn any_text() -> impl Strategy<Value = String> {
    let known = BUILT_ON
        .split(|c: char| !c.is_alphanumeric())
        .collect::<Vec<_>>();
    let word = prop_oneof![
        3 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => "[0-9.,%$\u{300}\u{2019}'ß İ:;-]{1,4}",
        1 => Just("every".to_owned()),
        1 => Just("to".to_owned()),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_scored_and_its_hits_stand_in_it_one_after_another(text in any_text()) {
        let wording = wording(&text);
        prop_assert!(wording.score.is_finite());
        let sum: f64 = wording.hits.iter().map(|hit| hit.weight).sum();
        prop_assert!((wording.score - sum).abs() < 1e-9);
        let characters: Vec<char> = text.chars().collect();
        let mut before = 0;
        for hit in &wording.hits {
            prop_assert!(before <= hit.start && hit.start < hit.end && hit.end <= characters.len());
            let there: String = characters[hit.start..hit.end].iter().collect();
            prop_assert_eq!(&there, &hit.text);
            before = hit.end;
        }
    }

    #[test]
    fn likeness_is_a_share_and_the_same_both_ways(a in any_text(), b in any_text()) {
        let there = similarity(&a, &b);
        prop_assert!((0.0..=1.0).contains(&there));
        prop_assert!((there - similarity(&b, &a)).abs() < 1e-9);
        let itself = similarity(&a, &a);
        prop_assert!(itself.abs() < 1e-9 || (itself - 1.0).abs() < 1e-9);
    }

    #[test]
    fn whether_a_quantity_is_named_can_be_asked_of_any_text(text in any_text()) {
        let without = names_a_quantity(&text);
        let with = names_a_quantity(&format!("{text}, but 12%"));
        prop_assert!(with || !without);
        prop_assert!(with);
    }
}
