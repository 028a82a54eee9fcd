//! The table of rights against the published language, and against the page that shows it.

use std::{collections::BTreeSet, env, fmt::Write as _, fs};

use prost_reflect::DescriptorPool;

use super::*;
use crate::proto::FILE_DESCRIPTOR_SET;

/// Where the tables stand in the page.
const BEGIN: &str = "<!-- The tables below are made from src/access/rights.rs: \
                     UPDATE_PAGES=1 cargo test --lib access::rights -->\n";
const END: &str = "<!-- The end of the tables. -->\n";

fn language() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors")
}

fn commands() -> Vec<String> {
    let command = language()
        .get_message_by_name("strata.v1.Command")
        .expect("it exists");
    let kind = command.oneofs().next().expect("its kind");
    let fields = kind.fields().map(|field| field.name().to_owned());
    fields.collect()
}

/// The tables as Markdown.
fn tables() -> String {
    let yes = |it| if it { "yes" } else { "" };
    let mut text = String::from("\n| call |");
    for role in Role::ALL {
        write!(text, " {} |", role.name()).ok();
    }
    text += " plans |\n| --- | --- | --- | --- | --- | --- |\n";
    for rpc in Rpc::ALL {
        let path = rpc
            .path()
            .trim_start_matches("/strata.v1.")
            .trim_start_matches('/');
        write!(text, "| `{path}` |").ok();
        for role in Role::ALL {
            write!(text, " {} |", yes(role.may_call(rpc))).ok();
        }
        writeln!(
            text,
            " {} |",
            if rpc.needs_all_plans() { "all" } else { "" }
        )
        .ok();
    }
    text += "\n| command of `Execute` and `ExecuteStream` |";
    for role in Role::ALL {
        write!(text, " {} |", role.name()).ok();
    }
    text += "\n| --- | --- | --- | --- | --- |\n";
    for command in commands() {
        write!(text, "| `{command}` |").ok();
        for role in Role::ALL {
            write!(text, " {} |", yes(role.may_command(&command))).ok();
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

#[test]
fn the_page_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
    let page = fs::read_to_string(path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("where the tables begin");
    let (shown, after) = rest.split_once(END).expect("where they end");
    if env::var_os("UPDATE_PAGES").is_some() {
        let page = format!("{before}{BEGIN}{}{END}{after}", tables());
        fs::write(path, page).expect("the page is written");
        return;
    }
    assert_eq!(
        shown,
        tables(),
        "run UPDATE_PAGES=1 cargo test --lib access::rights"
    );
}

#[test]
fn every_call_of_the_published_language_is_decided() {
    let language = language();
    let methods = language.services().flat_map(|service| {
        let name = service.full_name().to_owned();
        let methods: Vec<_> = service.methods().map(|it| it.name().to_owned()).collect();
        methods
            .into_iter()
            .map(move |method| format!("/{name}/{method}"))
    });
    let published: BTreeSet<_> = methods.collect();
    let reflection = Rpc::Reflection.path();
    let decided = Rpc::ALL.iter().map(|rpc| rpc.path().to_owned());
    let decided: BTreeSet<_> = decided.filter(|path| path != reflection).collect();
    assert_eq!(decided, published);
}

#[test]
fn every_command_of_the_published_language_is_decided_by_exactly_one_role() {
    let decided = COMMANDS_OF_PLANNERS.iter().chain(&COMMANDS_OF_THE_CLOCK);
    let decided: Vec<_> = decided.map(|name| (*name).to_owned()).collect();
    let unique: BTreeSet<_> = decided.iter().cloned().collect();
    assert_eq!(unique.len(), decided.len());
    assert_eq!(unique, commands().into_iter().collect());
    for command in commands() {
        let roles = Role::ALL.iter().filter(|role| role.may_command(&command));
        assert_eq!(roles.count(), 1, "{command}");
    }
}

#[test]
fn what_is_not_decided_nobody_may() {
    for command in ["", "drop_plan", "Create_plan", "create_plan "] {
        assert!(
            !Role::ALL.iter().any(|role| role.may_command(command)),
            "{command}"
        );
    }
    for path in [
        "",
        "/",
        "/strata.v1.PlanService/execute",
        "/grpc.health.v1.Health/Check",
    ] {
        assert_eq!(Rpc::of(path), None, "{path}");
    }
}

#[test]
fn a_path_names_its_call() {
    for rpc in Rpc::ALL {
        assert_eq!(Rpc::of(rpc.path()), Some(rpc));
        assert!(rpc.path().ends_with(&format!("/{}", rpc.name())));
    }
    let v1alpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    assert_eq!(Rpc::of(v1alpha), Some(Rpc::Reflection));
}

#[test]
fn whoever_may_send_a_command_may_make_the_call_that_carries_it() {
    for role in Role::ALL {
        let sends = commands().iter().any(|command| role.may_command(command));
        assert_eq!(role.may_call(Rpc::Execute), sends, "{}", role.name());
        assert_eq!(role.may_call(Rpc::ExecuteStream), sends, "{}", role.name());
    }
}

#[test]
fn readers_and_auditors_change_nothing() {
    let changing = [
        Rpc::Execute,
        Rpc::ExecuteStream,
        Rpc::ConfirmClock,
        Rpc::SetLogFilter,
    ];
    for rpc in changing {
        assert!(
            !Role::Reader.may_call(rpc) && !Role::Auditor.may_call(rpc),
            "{rpc:?}"
        );
    }
}

#[test]
fn every_call_is_somebody_s_and_every_role_has_its_name() {
    for rpc in Rpc::ALL {
        assert!(Role::ALL.iter().any(|role| role.may_call(rpc)), "{rpc:?}");
    }
    for role in Role::ALL {
        assert_eq!(Role::named(role.name()), Some(role));
    }
    assert_eq!(Role::named("Reader"), None);
}
