//! What the model of a disk keeps and what it loses.

use super::*;

const LONG_AGO: usize = 10;

/// Events of a line each.
fn history(effects: impl IntoIterator<Item = Effect>) -> History {
    let events = effects.into_iter().enumerate().map(|(line, effect)| Event {
        begin: line,
        end: Some(line),
        effect,
    });
    History::new(&Image::default(), events.collect())
}

fn create(path: &str) -> Effect {
    let path = path.to_owned();
    Effect::Open {
        path,
        create: true,
        truncate: false,
    }
}

fn write(path: &str, offset: usize, data: &[u8]) -> Effect {
    let (path, data) = (path.to_owned(), data.to_vec());
    Effect::Write { path, offset, data }
}

fn sync(path: &str) -> Effect {
    Effect::Sync { path: path.into() }
}

fn rename(from: &str, to: &str) -> Effect {
    Effect::Rename {
        from: from.into(),
        to: to.into(),
    }
}

/// All images that chance makes of a history.
fn images(history: &History, moment: usize, policy: Policy) -> Vec<Image> {
    let of_seed = |seed| history.image(moment, policy, None, &mut Chance::of_seed(seed));
    (0..200).map(of_seed).collect()
}

fn file(image: &Image, path: &str) -> Option<Vec<u8>> {
    image.0.get(path).cloned().flatten()
}

#[test]
fn what_was_synced_is_there_under_every_policy() {
    let history = history([
        create("a"),
        write("a", 0, b"synced"),
        sync("a"),
        sync(""),
        write("a", 6, b"not synced"),
    ]);
    for policy in Policy::ALL {
        for image in images(&history, LONG_AGO, policy) {
            let bytes = file(&image, "a").expect("the name was synced");
            assert!(bytes.starts_with(b"synced"), "{policy:?}: {bytes:?}");
        }
    }
}

#[test]
fn what_was_not_synced_goes_as_the_policy_says() {
    let sector = |byte| vec![byte; SECTOR_BYTES];
    let history = history([
        create("a"),
        sync(""),
        write("a", 0, &sector(1)),
        write("a", SECTOR_BYTES, &sector(2)),
    ]);
    let left = |policy| {
        let image = history.image(LONG_AGO, policy, None, &mut Chance::of_seed(0));
        file(&image, "a").expect("its name")
    };
    let two = |first, second| [sector(first), sector(second)].concat();
    assert_eq!(left(Policy::Nothing), b"");
    assert_eq!(left(Policy::Everything), two(1, 2));
    assert_eq!(left(Policy::Zeros), two(0, 0));
    assert_eq!(left(Policy::Newest), two(0, 2));
    assert_eq!(left(Policy::Nameless), two(1, 2));
}

#[test]
fn a_sync_covers_only_what_ended_before_it_began_and_only_once_it_has_ended() {
    let event = |begin, end, effect| Event {
        begin,
        end: Some(end),
        effect,
    };
    let events = vec![
        event(0, 0, create("a")),
        event(1, 1, sync("")),
        event(2, 2, write("a", 0, b"before")),
        event(3, 5, write("a", 6, b"beside")),
        event(4, 7, sync("a")),
    ];
    let history = History::new(&Image::default(), events);
    let left = |moment| {
        let image = history.image(moment, Policy::Nothing, None, &mut Chance::of_seed(0));
        file(&image, "a").expect("its name")
    };
    assert_eq!(left(6), b"");
    assert_eq!(left(7), b"before");
}

#[test]
fn a_name_is_durable_by_its_directory_alone() {
    let history = history([
        Effect::MakeDirectory { path: "d".into() },
        create("d/a"),
        write("d/a", 0, b"bytes"),
        sync("d/a"),
        sync("d"),
    ]);
    let image = history.image(LONG_AGO, Policy::Nothing, None, &mut Chance::of_seed(0));
    assert_eq!(image, Image::default(), "nobody synced the name of d");
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let history = history([
        create("new"),
        write("new", 0, b"bytes"),
        sync("new"),
        sync(""),
        rename("new", "old"),
    ]);
    let mut seen = BTreeMap::new();
    for policy in Policy::ALL {
        for image in images(&history, LONG_AGO, policy) {
            let names: Vec<String> = image.0.into_keys().collect();
            *seen.entry(names).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), [["new"], ["old"]]);
}

#[test]
fn a_write_tears_between_sectors_and_never_within() {
    let history = history([
        create("a"),
        write("a", 0, &[0; 4 * SECTOR_BYTES]),
        sync("a"),
        sync(""),
        write("a", 100, &[1; 3 * SECTOR_BYTES]),
    ]);
    let mut torn = 0;
    for image in images(&history, LONG_AGO, Policy::Anything) {
        let bytes = file(&image, "a").expect("its name");
        let whole = file(
            &history.image(LONG_AGO, Policy::Everything, None, &mut Chance::of_seed(0)),
            "a",
        );
        let whole = whole.expect("its name");
        let sectors = bytes.chunks(SECTOR_BYTES).zip(whole.chunks(SECTOR_BYTES));
        let kept = sectors.clone().filter(|(left, whole)| left == whole);
        for (left, whole) in sectors {
            assert!(left == whole || left.iter().all(|byte| *byte == 0));
        }
        torn += u32::from((1..4).contains(&kept.count()));
    }
    assert!(torn > 20, "{torn} of 200 are torn");
}

#[test]
fn an_older_state_of_a_sector_may_survive_and_never_a_mixture() {
    let history = history([
        create("a"),
        write("a", 0, b"11"),
        sync("a"),
        sync(""),
        write("a", 0, b"2"),
        write("a", 1, b"3"),
    ]);
    let mut seen = BTreeMap::new();
    for image in images(&history, LONG_AGO, Policy::Anything) {
        *seen.entry(file(&image, "a")).or_insert(0) += 1;
    }
    let seen: Vec<_> = seen.into_keys().flatten().collect();
    assert_eq!(seen, [b"11", b"21", b"23"]);
}

#[test]
fn a_journal_keeps_names_in_their_order() {
    let history = history([create("a"), create("b"), create("c")]);
    for image in images(&history, LONG_AGO, Policy::Journaled) {
        let names: Vec<String> = image.0.into_keys().collect();
        assert_eq!(names, ["a", "b", "c"][..names.len()]);
    }
}

#[test]
fn a_lie_loses_what_the_daemon_took_for_synced() {
    let history = history([create("a"), sync(""), write("a", 0, b"bytes"), sync("a")]);
    let left = |lie: Lie| {
        let chance = &mut Chance::of_seed(0);
        let image = history.image(LONG_AGO, Policy::Nothing, Some(&lie), chance);
        file(&image, "a").expect("its name")
    };
    let node = Some(history.node("a"));
    assert_eq!(left(Lie { since: 2, node }), b"");
    assert_eq!(left(Lie { since: 4, node }), b"bytes");
}

#[test]
fn an_image_that_is_written_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bytes = vec![0; 3 * PAGE_BYTES + 5];
    bytes[PAGE_BYTES + 1] = 7;
    let tree = [("d", None), ("d/a", Some(bytes)), ("e", Some(Vec::new()))];
    let image = Image(
        tree.map(|(path, content)| (path.to_owned(), content))
            .into(),
    );
    image.write(dir.path());
    assert_eq!(Image::read(dir.path()), image);
}
