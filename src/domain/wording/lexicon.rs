//! The words that speak for a tactic or for a strategy, with their weights: above zero for a tactic,
//! below for a strategy. Verbs stand here in their base form and nouns in the singular; the other
//! forms are made when the lexicon is built, once.

use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt as _};

use super::{
    HitClass,
    words::{Word, from},
};

/// Concrete actions: somebody can be seen doing them, and say when they are done.
const ACTIONS: &[(f64, &str)] = &[
    (
        1.2,
        "adjust, advertise, appoint, archive, arrange, assign, attend, auction, back up, bake, \
         blog, bolt, broadcast, calculate, call, caulk, chat with, check, circulate, clean, \
         compile, conduct, convene, cook, cycle, dance, delete, deliver leaflets, deploy, dial, \
         dig, disinfect, dispatch, distribute, do more, donate, download, draft, drill, drink, \
         drop off, dust, e mail, eat, email, erect, exercise, exhibit, exhibit at, fax, \
         fertilise, fill in, film, follow up, give away, go to the gym, graft, greet, hand out, \
         hand write, handwrite, hang, harvest, hire, hoe, hold a, hold an, inspect, install, \
         insulate, interview, invite, irrigate, jog, jot down, knock, knock on, label, \
         laminate, lay out, log, mail, mail out, meditate, milk, mop, mow, nail, organise, \
         paint, patch, phone, photocopy, photograph, pick up, plant, plough, poll, post, print, \
         prune, publish, purchase, put on, put up, raffle, reach out, rearrange, reboot, \
         record, redesign, refactor, register, rehearse, remind, rent, repaint, repair, \
         replace, restart, restock, rewrite, rope off, schedule, screen, seal, send, send off, \
         send out, set up, sew, shear, sign up, sing, sit down, sort, speak at, sponsor, spray, \
         stand up at, sterilise, stock, stretch, stuff, submit, subscribe, survey, sweep, swim, \
         switch on, sync, telephone, text, tidy, translate, trim, turn off, turn on, tweet, \
         uninstall, unplug, update, upload, vaccinate, vacuum, visit, walk, wash, water, wear, \
         weed, weigh, wrap, write down",
    ),
    (
        0.9,
        "add, ask, audit, book, bring in, buy, cancel, canvass, close down, collect, \
         commission, compare, contact, deliver, demo, dig, display, feature, feed, fence, file, \
         fill, gather, get off, give out, go through, hold, host, insert, issue, join, lift, \
         list, lobby, look at, migrate, order, pack, participate in, petition, pilot, pitch, \
         plug in, present, procure, read, recruit, roll out, rollout, run, ship, shoot, sign, \
         sleep, sow, spend, stage, switch off, talk to, test, volunteer at, write",
    ),
    (
        0.6,
        "analyse, begin, bring, carry out, cut, drop, give, go to, identify, include, \
         introduce, launch, make calls, make phone calls, meet, monitor, open, place, prepare, \
         remove, review, set, share, start, supply, teach, track, train, try, work with",
    ),
];

/// Of the weightiest of these, those that are nouns too: "water security". That they are verbs shows
/// in what comes next: "water the beds".
const NOUNS_TOO: &[&str] = &[
    "archive",
    "auction",
    "blog",
    "bolt",
    "book",
    "broadcast",
    "call",
    "check",
    "clean",
    "cook",
    "cycle",
    "dance",
    "dispatch",
    "display",
    "draft",
    "drill",
    "dust",
    "email",
    "exercise",
    "film",
    "graft",
    "harvest",
    "interview",
    "label",
    "log",
    "mail",
    "milk",
    "nail",
    "paint",
    "patch",
    "phone",
    "photograph",
    "plant",
    "plough",
    "poll",
    "post",
    "print",
    "purchase",
    "raffle",
    "record",
    "rent",
    "repair",
    "schedule",
    "screen",
    "seal",
    "sort",
    "sponsor",
    "stock",
    "stretch",
    "survey",
    "sweep",
    "telephone",
    "text",
    "trim",
    "tweet",
    "update",
    "vacuum",
    "visit",
    "walk",
    "wash",
    "water",
    "wear",
    "weed",
    "wrap",
];

/// What comes behind a verb rather than behind a noun that leads a text.
const BEHIND_VERBS: &[&str] = &[
    "a", "all", "an", "any", "both", "down", "each", "every", "her", "him", "his", "in", "it",
    "its", "me", "more", "my", "new", "off", "on", "our", "out", "some", "the", "their", "them",
    "these", "this", "those", "to", "up", "us", "with", "your",
];

/// What is done with a thing or with an aim alike: "create a leaflet", "create trust". Their object
/// decides; without a channel or an artefact close behind, they speak of an intention.
const LIGHT: &[(f64, &str)] = &[(
    0.4,
    "build, create, design, develop, establish, get, make a, make an, offer, produce, \
         provide, put, take, take a, use",
)];

/// Intentions: states to reach or keep, and choices of direction.
const INTENTS: &[(f64, &str)] = &[
    (
        -1.5,
        "accelerate, achieve, adapt, add value, address, advance, advocate, align, anticipate, \
         assure, attend to, attract, avoid, balance, be, be seen, become, boost, broaden, \
         build a culture, build trust, buy time, call for, capture, champion, combat, compete, \
         concentrate, conquer, consolidate, contain, contribute, convince, coordinate, \
         create a culture, create demand, create value, cultivate, decentralise, decrease, \
         deepen, defeat, defend, deliver on, deliver value, democratise, depend, deter, \
         differentiate, discourage, disrupt, diversify, dominate, double, double down, drive, \
         earn, ease, eliminate, embed, embrace, emphasise, empower, enable, encourage, end, \
         engage, enhance, enrich, ensure, enter, eradicate, evolve, exit, expand, exploit, \
         extend, facilitate, fill the gap, fill the gaps, focus, foster, gain, give people, \
         go back, grow, guarantee, guard, halve, harness, help, hold on to, hold our prices, \
         improve, increase, influence, innovate, inspire, instil, integrate, interrupt, invest, \
         invest in, lead, let, leverage, limit, link, lower, maintain, make a difference, \
         make it easier, make it easy, make sure, maximise, meet the needs, minimise, mitigate, \
         mobilise, modernise, motivate, narrow, nurture, offer the best, offer the lowest, \
         open up, optimise, outperform, overcome, own, penetrate, persuade, pioneer, position, \
         preserve, prevent, prioritise, promote, protect, prove, provide access, \
         provide opportunities, provide the best, pursue, put people first, raise awareness, \
         reach, realise, rebalance, rebuild, redefine, reduce, refocus, reform, regain, \
         reinforce, rely, remain, reposition, reshape, resist, respond, restore, retain, \
         rethink, safeguard, scale, secure, seek, serve, shape, shift, simplify, slow, \
         specialise, spend less, stabilise, stay, stimulate, stop, streamline, strengthen, \
         strive, support, sustain, tackle, take a lead, take a leading, take a stand, \
         take advantage, take care, take the lead, target, transform, transition, treat, turn, \
         understand, unite, unlock, upgrade, uphold, value, win, withdraw",
    ),
    (
        -0.8,
        "acquire, adopt, advocate for, allow, ally, attack, change, close, collaborate, \
         continue, cooperate, establish, expand, explore, fight, find, follow, free, implement, \
         keep, learn, live, make, manage, move, partner, partner with, raise, recognise, \
         rely on, retreat, reward, save, sell, solve, surround, work, work with",
    ),
];

/// Where something reaches people.
const CHANNELS: &[(f64, &str)] = &[(
    0.8,
    "ad, advert, advertisement, adwords, aerobics class, banner ad, billboard, blog, \
         blog post, book fair, booth, call, camp, career chamber of commerce, clinic, \
         cold call, cold email, conference, cooking class, county fair, dinner, direct mail, \
         door to door, drill, e mail, e newsletter, email, email campaign, event, exhibition, \
         expo, face to face, facebook, facebook ad, facebook page, fair, field day, flash mob, \
         focus group, google ad, google adword, gym, hackathon, hashtag, health fair, \
         home visit, hotline, house call, instagram, job fair, linkedin, lunch, \
         lunch and learn, mailing, market stall, meeting, meetup, mobile clinic, monthly call, \
         networking event, newsletter, newspaper, open day, open house, pay per click, phone, \
         phone call, pinterest, podcast, pop up shop, post, ppc, press conference, \
         press release, radio, radio spot, recruitment fair, reddit, reminder, roadshow, \
         seminar, shop window, site visit, sms, snapchat, social media, social media post, \
         stall, street fair, tea stall, telephone, television, text message, tiktok, tour, \
         town hall, trade fair, trade magazine, trade show, training course, training day, \
         training session, tv, tv spot, tweet, twitter, visit, web page, webinar, webpage, \
         website, whatsapp, whatsapp group, workshop, yard sign, youtube, youtube channel",
)];

/// Things that are made, handed over or filled in.
const ARTEFACTS: &[(f64, &str)] = &[
    (
        0.6,
        "app, application form, article, backup, badge, banner, bed net, book, booklet, \
         brochure, business card, button, calendar, case study, catalogue, certificate, \
         chapter, checklist, contest, coupon, curriculum, dashboard, database, demo, diary, \
         discount, e book, ebook, fact sheet, factsheet, faq, flier, flyer, folder, free trial, \
         gift, gift card, giveaway, hand pump, handbook, handout, incentive, infographic, \
         inventory, invoice, iron tablet, job description, journal, kit, landing page, leaflet, \
         letter, list, logo, mailer, manual, memo, mug, order form, page, pamphlet, photo, \
         poll, portion, postcard, poster, presentation, press kit, pricing page, proposal, \
         pump, questionnaire, quiz, raffle, report, sample, sapling, script, seed, seedling, \
         sign up form, sitemap, slide, soil sample, spreadsheet, sticker, survey, t shirt, \
         template, testimonial, thank you card, toolkit, tree, unit test, user account list, \
         vaccine dose, video, voucher, white paper, whitepaper",
    ),
    (
        0.4,
        "air conditioner, apron, barrel, basket, bed, bench, bicycle, bike, bin, blanket, boot, \
         bottle, bucket, bulb, bus, cabinet, cable, camera, candle, car, chair, clothes, \
         clothing, compost, computer, cookbook, curtain, desk, donor drawer, drum, fan, feeder, \
         fence, filter, flag, flower, folder, fridge, fruit, garden, gate, glove, greenhouse, \
         hard hat, heater, helmet, hose, hygiene kit, inbox, kiosk, ladder, lamp, laptop, \
         latrine, lawn, light bulb, lunch box, mask, mat, mattress, meal, medicine, mirror, \
         mosquito net, motorcycle, mural, notebook, oven, paint, pantry, pen, pencil, pipe, \
         plaque, plastic, playground, plough, pot, printer, radiator, rain barrel, \
         refrigerator, repository, roof, room, salad, scarf, school bag, school kit, sensor, \
         server, shed, shelf, shirt, shoe, shower, sink, soap, sock, soup, spreader, stove, \
         stroller, suit, swab, sweater, syringe, table, tap, tarpaulin, tent, textbook, \
         thermostat, tile, toilet, toothbrush, toy, tractor, trap, trash can, trolley, truck, \
         uniform, van, vegetable, vitamin, wall, wardrobe, water bottle, water heater, \
         wheelbarrow, wheelchair, whiteboard, wipe, wire",
    ),
];

/// Where one plays.
const ARENAS: &[(f64, &str)] = &[
    (
        -0.5,
        "arena, battlefield, economy, ecosystem, geography, industry, market, market segment, \
         marketplace, neighbouring country, new country, niche, population, region, sector, \
         segment, society, supply chain, territory, value chain, vertical",
    ),
    (
        -0.3,
        "abroad, audience, category, citizen, client, consumer, country, customer, district, \
         donor, international, overseas, stakeholder",
    ),
];

/// How one stands in it, or wants to.
const POSITIONS: &[(f64, &str)] = &[
    (
        -0.8,
        "advantage, at the center of, at the centre of, at the heart of, best in class, \
         brand of choice, competitive, competitive advantage, competitor, distinctive, \
         dominance, dominant, edge, employer of choice, excellence, first choice, first mover, \
         ideal client profile, leader, leadership, leading, leading provider, low cost, \
         lowest cost, lowest total cost, market leader, market share, most trusted, number one, \
         partner of choice, position, positioning, preferred, premium, premium choice, \
         reputation, strength, the best, unique, unrivalled, value proposition, world class, \
         world leader",
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
        "as a means to, for the purpose of, in favour of, in order that, in order to, \
         instead of, not by, not for, rather than, so as to, so that, such that, that enable, \
         that enables, that help, that helps, where we, which help, which helps, while, \
         with a view to, with the aim of, with the goal of, without",
    ),
    (
        -0.4,
        "access, accountability, adaptation, awareness, biodiversity, capability, capacity, \
         climate, competitiveness, cooperation, culture, dignity, diversity, effectiveness, \
         efficiency, equality, equity, freedom, future, governance, growth, health, income, \
         independence, inequality, innovation, integrity, justice, livelihood, long term, \
         loyalty, margin, mindset, mobility, opportunity, peace, potential, poverty, \
         prevention, productivity, profit, profitability, prosperity, relationship, resilience, \
         retention, revenue, rights, safety, satisfaction, security, self reliance, stability, \
         sustainability, transparency, trust, welfare, well being, wellbeing",
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

    fn matches(&self, words: &[Word<'_>]) -> bool {
        words.len() >= self.len()
            && self
                .rest
                .iter()
                .zip(from(words, 1))
                .all(|(expected, word)| !word.after_break() && *expected == word.lower)
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
pub(super) fn verb(words: &[Word<'_>]) -> Option<&'static Term> {
    term(&VERBS, words)
}

/// The verb that begins these words if what it is done with decides what it says.
pub(super) fn light_verb(words: &[Word<'_>]) -> Option<&'static Term> {
    term(&LIGHT_VERBS, words)
}

/// What else begins these words, likewise.
pub(super) fn other(words: &[Word<'_>]) -> Option<&'static Term> {
    term(&OTHERS, words)
}

/// Whether the verb that begins these words is surely one, and no noun.
pub(super) fn is_surely_verb(words: &[Word<'_>], verb: &Term) -> bool {
    let is_one_word = verb.len() == 1 && !verb.is_gerund;
    let lower = |at: usize| words.get(at).map(|word| word.lower.as_str());
    let is_noun_too = lower(0).is_some_and(|it| NOUNS_TOO.binary_search(&it).is_ok());
    let next = lower(1).is_some_and(|it| BEHIND_VERBS.binary_search(&it).is_ok());
    !is_one_word || !is_noun_too || next
}

/// Whether a word shows that the text is English.
pub(super) fn is_english(word: &Word<'_>) -> bool {
    ENGLISH.binary_search(&word.lower.as_str()).is_ok()
}

fn term(terms: &'static Terms, words: &[Word<'_>]) -> Option<&'static Term> {
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
    fn the_lists_are_sorted_or_a_search_would_miss() {
        for list in [ENGLISH, NOUNS_TOO, BEHIND_VERBS] {
            assert!(list.is_sorted(), "{list:?}");
        }
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
            "e books",
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
