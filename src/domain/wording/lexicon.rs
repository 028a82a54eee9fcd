//! The words that speak for a tactic or for a strategy, with their weights: above zero for a tactic,
//! below for a strategy. Verbs stand here in their base form and nouns in the singular; the other
//! forms are made when the lexicon is built, once.

use std::{collections::HashMap, sync::LazyLock};

use super::{HitClass, words::Word};

/// Concrete actions: somebody can be seen doing them, and say when they are done.
const ACTIONS: &[(f64, &str)] = &[
    (
        1.2,
        "advertise, attend, blog, broadcast, call, chat with, circulate, clean, compile, \
         convene, cook, cycle, deploy, dig, dispatch, distribute, do more, drink, eat, email, \
         e mail, exercise, exhibit, fax, film, fill in, follow up, give away, go to the gym, \
         greet, hand out, hang, harvest, hire, install, interview, invite, jog, knock, mail, \
         meditate, mow, organise, paint, phone, photograph, plant, plough, poll, post, print, prune, \
         publish, purchase, put up, rearrange, record, refactor, register, remind, rent, repaint, \
         rewrite, schedule, send, send out, set up, sign up, spray, stretch, submit, \
         subscribe, survey, swim, telephone, text, tweet, upload, visit, walk, wash, weed, ",
    ),
    (
        0.9,
        "buy, feature, host, read, run, shoot, display, write, book, appoint, arrange, ask, assign, bake, bring in, check, collect, conduct, contact, demo, \
         dig, draft, erect, file, give out, hold, inspect, interview, issue, join, lift, \
         log, migrate, pack, pitch, present, recruit, repair, replace, screen, ship, sleep, \
         sponsor, stage, switch off, translate, update, audit, pilot, procure, add, insert, \
         sow, fence, feed, test, sign, commission, translate, redesign, participate in",
    ),
    (
        0.6,
        "make a list, make a video, make calls, make phone calls, analyse, begin, carry out, drop, give, launch, meet, \
         place, prepare, review, set, share, start, teach, track, \
         train, try, go to, bring, include, list, identify, monitor, open, work with, \
         introduce, cut, remove, supply",
    ),
];

/// What is done with a thing or with an aim alike: "create a leaflet", "create trust". Their object
/// decides; without a channel or an artefact close behind, they speak of an intention.
const LIGHT: &[(f64, &str)] = &[(
    0.4,
    "build, create, design, develop, establish, get, offer, produce, provide, put, take, use",
)];

/// Intentions: states to reach or keep, and choices of direction.
const INTENTS: &[(f64, &str)] = &[
    (
        -1.5,
        "attend to, hold on to, buy time, accelerate, achieve, adapt, add value, advance, advocate, align, anticipate, assure, attract, \
         avoid, balance, be, become, boost, broaden, build a culture, build trust, call for, capture, \
         champion, combat, compete, concentrate, conquer, consolidate, contain, convince, create value, \
         create a culture, cultivate, decentralise, decrease, deepen, defeat, defend, deliver value, \
         democratise, depend, deter, differentiate, discourage, disrupt, diversify, dominate, double, \
         double down, drive, earn, eliminate, embed, embrace, empower, enable, encourage, end, engage, \
         enhance, enrich, ensure, enter, eradicate, evolve, exit, expand, exploit, extend, facilitate, \
         focus, foster, gain, go back, grow, guarantee, guard, halve, harness, help, hold our prices, \
         improve, increase, influence, innovate, inspire, instil, integrate, interrupt, invest, \
         invest in, lead, let, leverage, limit, link, lower, maintain, make sure, maximise, meet the \
         needs, minimise, mitigate, mobilise, modernise, motivate, narrow, nurture, offer the best, \
         offer the lowest, open up, optimise, outperform, overcome, own, penetrate, persuade, pioneer, \
         position, preserve, prevent, prioritise, promote, protect, prove, provide the best, pursue, \
         put people first, raise awareness, reach, realise, rebalance, rebuild, redefine, reduce, \
         refocus, reform, regain, reinforce, rely, reposition, reshape, resist, respond, restore, \
         retain, rethink, safeguard, scale, secure, seek, serve, shape, shift, simplify, slow, \
         specialise, stabilise, stay, stimulate, stop, streamline, strengthen, strive, sustain, tackle, \
         take advantage, take care, take the lead, target, transform, transition, turn, understand, \
         unite, unlock, uphold, value, win, withdraw, emphasise, coordinate, ease, address, treat, \
         contribute, remain, reposition, upgrade, support, make it easy, make it easier, be seen, \
         create demand, provide access, provide opportunities, give people, ",
    ),
    (
        -0.8,
        "make, close, cooperate, collaborate, establish, find, fight, follow, free, keep, learn, live, \
         move, partner, partner with, raise, save, sell, solve, work, work with, expand, attack, \
         retreat, surround, change, continue, allow, explore, implement, \
         manage, adopt, advocate for, ally, acquire, recognise, reward, rely on",
    ),
];

/// Where something reaches people.
const CHANNELS: &[(f64, &str)] = &[(
    0.8,
    "ad, advert, advertisement, adwords, banner ad, billboard, blog, blog post, booth, career fair, \
     chamber of commerce, class, cold call, cold email, commercial, conference, direct mail, \
     door to door, e mail, e newsletter, email, email campaign, mailing, event, exhibition, expo, \
     facebook, facebook ad, facebook page, face to face, fair, field day, flash mob, focus group, \
     forum, google ad, google adword, hackathon, hashtag, home visit, hotline, house call, instagram, \
     job fair, linkedin, lunch and learn, market stall, meetup, meeting, monthly call, networking \
     event, newspaper, newsletter, open day, open house, phone, phone call, pinterest, podcast, \
     pop up shop, post, ppc, pay per click, press conference, press release, radio, radio spot, \
     reddit, reminder, roadshow, seminar, shop window, site visit, sms, snapchat, social media, social \
     media post, stall, tea stall, telephone, text message, tiktok, town hall, trade fair, trade \
     magazine, trade show, training course, training day, training session, tv, tv spot, \
     television, tweet, twitter, webinar, webpage, web page, website, whatsapp, whatsapp group, \
     workshop, youtube, youtube channel, gym, dinner, drill, call, lunch, tour, visit, camp, mobile \
     clinic, clinic",
)];

/// Things that are made, handed over or filled in.
const ARTEFACTS: &[(f64, &str)] = &[(
    0.6,
    "user manual, account list, app, backup, badge, banner, bed net, book, booklet, brochure, business card, \
     calendar, case study, catalogue, certificate, checklist, competition, contest, coupon, curriculum, \
     dashboard, database, demo, discount, e book, ebook, faq, flyer, flier, form, free trial, gift, \
     gift card, giveaway, guide, hand pump, handbook, handout, infographic, invoice, job description, \
     kit, landing page, leaflet, letter, list, logo, manual, map, mug, pamphlet, photo, poll, \
     postcard, poster, presentation, press kit, pricing page, proposal, pump, questionnaire, quiz, \
     raffle, report, sample, sapling, script, seedling, sign, sign up form, sitemap, slide, soil sample, \
     spreadsheet, sticker, survey, t shirt, template, testimonial, toolkit, unit test, vaccine dose, \
     video, voucher, white paper, whitepaper, budget, seed, tree, step, portion, article, story, \
     fact sheet, factsheet, inventory, chapter, page, memo, minutes, folder, button",
)];

/// Where one plays.
const ARENAS: &[(f64, &str)] = &[
    (
        -0.5,
        "arena, battlefield, economy, ecosystem, geography, industry, market, marketplace, market \
         segment, neighbouring country, new country, niche, region, sector, segment, territory, value \
         chain, supply chain, vertical, population, society",
    ),
    (
        -0.3,
        "abroad, audience, category, citizen, client, consumer, community, country, customer, \
         district, donor, international, overseas, stakeholder, user, woman, people, patient",
    ),
];

/// How one stands in it, or wants to.
const POSITIONS: &[(f64, &str)] = &[
    (
        -0.8,
        "advantage, at the centre of, at the center of, at the heart of, best in class, brand of choice, \
         competitive, competitive advantage, competitor, distinctive, dominance, dominant, edge, \
         employer of choice, excellence, first choice, first mover, ideal client profile, leader, \
         leadership, leading, leading provider, low cost, lowest cost, lowest total cost, market leader, \
         market share, most trusted, number one, partner of choice, position, positioning, preferred, \
         premium, premium choice, reputation, strength, the best, unique, unrivalled, value proposition, \
         world class, world leader",
    ),
    (
        -0.4,
        "brand, global, profitable, quality, small, specialist, trusted, value",
    ),
];

/// What it is for, and what is chosen over what.
const PURPOSES: &[(f64, &str)] = &[
    (
        -0.8,
        "that help, that helps, which help, which helps, that enable, that enables, for the purpose of, in favour of, in order that, in order to, instead of, not by, rather than, \
         so as to, so that, such that, with a view to, with the aim of, with the goal of, as a means to, \
         without, not for, while, where we",
    ),
    (
        -0.4,
        "access, accountability, adaptation, awareness, biodiversity, capability, capacity, climate, \
         competitiveness, cooperation, culture, dignity, diversity, effectiveness, efficiency, equality, \
         equity, freedom, future, governance, growth, health, income, independence, inequality, \
         innovation, integrity, justice, livelihood, long term, loyalty, margin, mindset, mobility, \
         opportunity, peace, potential, poverty, prevention, productivity, profit, profitability, \
         prosperity, relationship, resilience, retention, revenue, rights, safety, satisfaction, \
         security, self reliance, stability, sustainability, transparency, trust, well being, wellbeing, \
         welfare",
    ),
];

/// Words that show a text to be English, and hardly any other language.
const ENGLISH: &[&str] = &[
    "and", "any", "are", "be", "from", "have", "its", "my", "not", "of", "our", "that", "the",
    "their", "this", "through", "we", "will", "with", "you", "your",
];

/// A word or phrase of the lexicon.
pub(super) struct Term {
    /// The words behind the first one.
    rest: Vec<String>,
    pub(super) class: HitClass,
    pub(super) weight: f64,
    /// Whether it is the form in -ing of a verb.
    pub(super) is_gerund: bool,
}

impl Term {
    /// How many words it has.
    pub(super) fn len(&self) -> usize {
        1 + self.rest.len()
    }

    fn matches(&self, words: &[Word]) -> bool {
        words.len() >= self.len()
            && self
                .rest
                .iter()
                .zip(&words[1..])
                .all(|(expected, word)| !word.after_break && *expected == word.lower)
    }
}

/// Terms by their first word, the longest first.
type Terms = HashMap<String, Vec<Term>>;

static VERBS: LazyLock<Terms> = LazyLock::new(|| {
    terms(
        &[
            (HitClass::ActionVerb, ACTIONS),
            (HitClass::IntentVerb, INTENTS),
        ],
        verb_forms,
    )
});

static LIGHT_VERBS: LazyLock<Terms> =
    LazyLock::new(|| terms(&[(HitClass::ActionVerb, LIGHT)], verb_forms));

static OTHERS: LazyLock<Terms> = LazyLock::new(|| {
    terms(
        &[
            (HitClass::Channel, CHANNELS),
            (HitClass::Artefact, ARTEFACTS),
            (HitClass::Arena, ARENAS),
            (HitClass::Position, POSITIONS),
            (HitClass::Purpose, PURPOSES),
        ],
        noun_forms,
    )
});

/// The verb that begins these words: the longest, and of two alike the one for a strategy.
pub(super) fn verb(words: &[Word]) -> Option<&'static Term> {
    term(&VERBS, words)
}

/// The verb that begins these words if what it is done with decides what it says.
pub(super) fn light_verb(words: &[Word]) -> Option<&'static Term> {
    term(&LIGHT_VERBS, words)
}

/// What else begins these words, likewise.
pub(super) fn other(words: &[Word]) -> Option<&'static Term> {
    term(&OTHERS, words)
}

/// Whether a word shows that the text is English.
pub(super) fn is_english(word: &Word) -> bool {
    ENGLISH.binary_search(&word.lower.as_str()).is_ok()
}

fn term(terms: &'static Terms, words: &[Word]) -> Option<&'static Term> {
    terms
        .get(&words.first()?.lower)?
        .iter()
        .find(|term| term.matches(words))
}

/// A form of a term: its words, and whether it is one in -ing.
type Form = (Vec<String>, bool);

fn terms(lists: &[(HitClass, &[(f64, &str)])], forms: fn(&str) -> Vec<Form>) -> Terms {
    let mut terms = Terms::new();
    for &(class, tiers) in lists {
        for &(weight, list) in tiers {
            for text in list.split(',').map(str::trim) {
                for (form, is_gerund) in forms(text) {
                    let mut rest = form.into_iter();
                    let Some(first) = rest.next() else { continue };
                    terms.entry(first).or_default().push(Term {
                        rest: rest.collect(),
                        class,
                        weight,
                        is_gerund,
                    });
                }
            }
        }
    }
    for same in terms.values_mut() {
        same.sort_by(|a, b| {
            let longest_first = b.len().cmp(&a.len());
            longest_first.then(a.weight.total_cmp(&b.weight))
        });
    }
    terms
}

/// The base form and the one in -ing, both with -ise and with -ize. A form that nobody writes does no
/// harm.
fn verb_forms(text: &str) -> Vec<Form> {
    let (first, rest) = split(text);
    let mut bases = vec![first.to_owned()];
    bases.extend(american(first));
    let mut forms = Vec::new();
    for base in bases {
        for gerund in gerunds(&base) {
            forms.push((phrase(&gerund, &rest), true));
        }
        forms.push((phrase(&base, &rest), false));
    }
    forms
}

fn american(verb: &str) -> Option<String> {
    verb.strip_suffix("ise")
        .or_else(|| verb.strip_suffix("yse"))
        .map(|stem| {
            let vowel = if verb.ends_with("yse") { "yze" } else { "ize" };
            format!("{stem}{vowel}")
        })
}

fn gerunds(verb: &str) -> Vec<String> {
    let mut forms = vec![format!("{verb}ing")];
    if let Some(stem) = verb.strip_suffix('e') {
        forms.push(format!("{stem}ing"));
    }
    if let Some(last) = verb
        .chars()
        .last()
        .filter(|last| !"aeiouwxy".contains(*last))
    {
        forms.push(format!("{verb}{last}ing"));
    }
    forms
}

/// The singular and the plural of the last word.
fn noun_forms(text: &str) -> Vec<Form> {
    let plural = match text {
        _ if text.ends_with("woman") => text.replace("woman", "women"),
        _ if text.ends_with('s') || text.ends_with("ch") || text.ends_with("sh") => {
            format!("{text}es")
        }
        _ => match text.strip_suffix('y') {
            Some(stem) if !text.ends_with("ay") && !text.ends_with("ey") => format!("{stem}ies"),
            _ => format!("{text}s"),
        },
    };
    [text, &plural]
        .map(|it| (it.split_whitespace().map(str::to_owned).collect(), false))
        .into()
}

fn split(text: &str) -> (&str, Vec<&str>) {
    let mut words = text.split_whitespace();
    (words.next().unwrap_or_default(), words.collect())
}

fn phrase(first: &str, rest: &[&str]) -> Vec<String> {
    std::iter::once(first)
        .chain(rest.iter().copied())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};

    #[test]
    fn the_list_of_english_words_is_sorted_or_a_search_would_miss() {
        assert!(ENGLISH.is_sorted());
    }

    #[test]
    fn words_are_known_in_their_other_forms() {
        for text in [
            "running",
            "hosting",
            "organizing",
            "writing",
            "setting up",
            "analyzing",
        ] {
            assert!(
                verb(&words(text)).is_some_and(|term| term.is_gerund),
                "{text}"
            );
        }
        for text in [
            "trade shows",
            "territories",
            "case studies",
            "leaflets",
            "women",
        ] {
            let all = words(text);
            assert_eq!(other(&all).map(Term::len), Some(all.len()), "{text}");
        }
    }

    #[test]
    fn the_longest_term_is_found() {
        let class = |text: &str| verb(&words(text)).map(|term| term.class);
        assert_eq!(class("add a page"), Some(HitClass::ActionVerb));
        assert_eq!(class("add value"), Some(HitClass::IntentVerb));
    }
}
