//! The table of everything that can be configured. Parsing, `--help`, the environment and (held to it by a test)
//! the example file all follow it, so that a key exists everywhere or nowhere.

use crate::config::{Config, access, limits, seeing, serving, value};

/// What every variable of the environment that is ours begins with.
pub const VARIABLE_PREFIX: &str = "STRATA_";

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "STRATA_CONFIG";

/// Something that can be configured.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file; in upper case behind `STRATA_` in the environment.
    pub name: &'static str,
    /// Its flag without the dashes: the name with hyphens.
    pub flag: &'static str,
    /// What stands for the value in `--help`.
    pub value_name: &'static str,
    /// How the value is written.
    pub form: Form,
    /// What it means.
    pub meaning: &'static str,
    /// What a value must be, as a message goes on after "expected".
    pub expected: &'static str,
    /// Writes the value of a configuration as it would be given.
    pub show: fn(&Config) -> String,
    /// Reads a value into a configuration, or says what is wrong with it.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

/// How a value is written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A number.
    Number,
    /// A number of bytes, or a string with a unit.
    Size,
    /// True or false; the flag alone is true.
    Switch,
}

impl Form {
    /// Whether the file may hold a number.
    #[must_use]
    pub const fn is_number(self) -> bool {
        match self {
            Self::Number | Self::Size => true,
            Self::Text | Self::Switch => false,
        }
    }
}

/// Everything that can be configured, in the order in which it is shown.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let tables: [&[Key]; 5] = [
        &KEYS,
        &serving::KEYS,
        &access::KEYS,
        &limits::KEYS,
        &seeing::KEYS,
    ];
    tables.into_iter().flatten()
}

/// What has no table of its own.
static KEYS: [Key; 12] = [
    Key {
        name: "listen",
        flag: "listen",
        value_name: "ADDR",
        form: Form::Text,
        meaning: "Where the API is served. An address that others can reach needs TLS and \
                  authentication, or to be told in so many words that they are not needed. Port 0 \
                  takes any free port; the log says which.",
        expected: "an address and a port, such as 127.0.0.1:7421 or [::1]:7421",
        show: |config| config.listen.to_string(),
        set: |config, text| {
            config.listen = value::address(text)?;
            Ok(())
        },
    },
    Key {
        name: "data_dir",
        flag: "data-dir",
        value_name: "DIR",
        form: Form::Text,
        meaning: "The directory of the log and all that is made from it. Created when it does not \
                  exist; one daemon at a time.",
        expected: "the path of a directory",
        show: |config| config.data_dir.display().to_string(),
        set: |config, text| {
            config.data_dir = value::directory(text)?;
            Ok(())
        },
    },
    Key {
        name: "log",
        flag: "log",
        value_name: "FILTER",
        form: Form::Text,
        meaning: "What is logged to stderr: a level, or levels by module. With strata=debug each \
                  refused request is logged, with the reason.",
        expected: "a filter such as info, warn or info,strata=debug",
        show: |config| config.log.clone(),
        set: |config, text| {
            config.log = value::log_filter(text)?;
            Ok(())
        },
    },
    Key {
        name: "log_format",
        flag: "log-format",
        value_name: "FORMAT",
        form: Form::Text,
        meaning: "How it is logged: human, json (one object a line), or auto, which is human when \
                  stderr is a terminal and json when it is not.",
        expected: "auto, human or json",
        show: |config| config.log_format.name().to_owned(),
        set: |config, text| {
            config.log_format = value::log_format(text)?;
            Ok(())
        },
    },
    Key {
        name: "queue_limit",
        flag: "queue-limit",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many requests may wait to be decided. When the queue is full a request waits \
                  for its deadline and is then refused with RESOURCE_EXHAUSTED.",
        expected: "a whole number from 1 to 1,000,000",
        show: |config| config.queue_limit.to_string(),
        set: |config, text| {
            config.queue_limit = value::number(text, 1..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "plan_cache_bytes",
        flag: "plan-cache-bytes",
        value_name: "SIZE",
        form: Form::Size,
        meaning: "About how much memory the plans that are kept at hand take; others are read from \
                  disk when they are asked for.",
        expected: "a size from 64 KiB to 1024 GiB, such as 134217728 or 128MiB",
        show: |config| value::size_text(config.plan_cache_bytes),
        set: |config, text| {
            config.plan_cache_bytes = value::size_bytes(text)?;
            Ok(())
        },
    },
    Key {
        name: "journal_cache_bytes",
        flag: "journal-cache-bytes",
        value_name: "SIZE",
        form: Form::Size,
        meaning: "How much memory the store of the log may use as a cache.",
        expected: "a size from 64 KiB to 1024 GiB, such as 67108864 or 64MiB",
        show: |config| value::size_text(config.journal_cache_bytes),
        set: |config, text| {
            config.journal_cache_bytes = value::size_bytes(text)?;
            Ok(())
        },
    },
    Key {
        name: "recent_commits_bytes",
        flag: "recent-commits-bytes",
        value_name: "SIZE",
        form: Form::Size,
        meaning: "How much memory the most recent commits take, from which watchers are served; a \
                  watcher further behind reads from the log.",
        expected: "a size from 64 KiB to 1024 GiB, such as 33554432 or 32MiB",
        show: |config| value::size_text(config.recent_commits_bytes as u64),
        set: |config, text| {
            config.recent_commits_bytes = value::size_bytes(text)?;
            Ok(())
        },
    },
    Key {
        name: "drain_seconds",
        flag: "drain-seconds",
        value_name: "SECONDS",
        form: Form::Number,
        meaning: "How long calls under way may take once the daemon was told to stop.",
        expected: "a whole number of seconds from 0 to 600",
        show: |config| config.drain_seconds.to_string(),
        set: |config, text| {
            config.drain_seconds = value::number(text, 0..=600)?;
            Ok(())
        },
    },
    Key {
        name: "disk_reserve_bytes",
        flag: "disk-reserve-bytes",
        value_name: "SIZE",
        form: Form::Size,
        // Room for what the view may hold unwritten (128 MiB), for a snapshot of the log's store
        // and for whoever must act.
        meaning: "What is kept free on the disk of the data directory. With less, requests that \
                  would be recorded are refused with RESOURCE_EXHAUSTED until there is room \
                  again; reads go on. 0 writes until the disk is full, which stops the daemon.",
        expected: "0, or a size from 64 KiB to 1024 GiB, such as 268435456 or 256MiB",
        show: |config| value::reserve_text(config.disk_reserve_bytes),
        set: |config, text| {
            config.disk_reserve_bytes = value::reserve_bytes(text)?;
            Ok(())
        },
    },
    Key {
        name: "sync_stall_seconds",
        flag: "sync-stall-seconds",
        value_name: "SECONDS",
        form: Form::Number,
        meaning: "How long a sync of the disk may take. One that takes longer is logged, and \
                  health says NOT_SERVING for PlanService and for the whole until it returns.",
        expected: "a whole number of seconds from 1 to 3600",
        show: |config| config.sync_stall_seconds.to_string(),
        set: |config, text| {
            config.sync_stall_seconds = value::number(text, 1..=3_600)?;
            Ok(())
        },
    },
    Key {
        name: "metrics_listen",
        flag: "metrics-listen",
        value_name: "ADDR",
        form: Form::Text,
        meaning: "Where metrics are served over HTTP for Prometheus, at /metrics: to whoever can reach \
                  it, unencrypted. They hold counts and names of calls, nothing of plans. An address \
                  that others can reach needs insecure_metrics_for_others. Empty: nowhere.",
        expected: "nothing, or an address and a port, such as 127.0.0.1:7422",
        show: |config| {
            config
                .metrics_listen
                .map_or_else(String::new, |address| address.to_string())
        },
        set: |config, text| {
            config.metrics_listen = value::address_or_none(text)?;
            Ok(())
        },
    },
];

impl Key {
    /// Its variable in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }

    /// Its default, as it would be given.
    #[must_use]
    pub fn default_text(&self) -> String {
        (self.show)(&Config::default())
    }
}
